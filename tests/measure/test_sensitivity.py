"""Sensitivity: costs of layers of a small model, and the map that follows from them by hand."""

import json

import pytest
import torch
from export.models import _draw_weights, _tokenizer
from train.corpus import write_config, write_corpus

from halfbyte.cli import main
from halfbyte.errors import ConfigError
from halfbyte.measure.sensitivity import LayerCost, Trial, measure_sensitivity, propose
from halfbyte.quant.native import native_layers
from halfbyte.train.checkpoint import build_model, load_checkpoint, save_checkpoint
from halfbyte.train.config import load_config

DEAR = "encoder.layers.1.feed_forward.expand"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A float checkpoint of random weights; one layer has a weight that 4 bits cannot bear."""
    folder = tmp_path_factory.mktemp("sensitivity")
    corpus = write_corpus(folder / "corpus", num_utterances=3)
    config = load_config(write_config(folder, corpus), ["quantization.default=float32"])
    tokenizer = _tokenizer(40)
    torch.manual_seed(1)
    model = build_model(config, len(tokenizer.tokens))
    _draw_weights(model)
    model.get_submodule(DEAR).weight.data[:, 0] = 3.0
    save_checkpoint(folder / "float", config, tokenizer, model.state_dict())
    return folder


def test_every_layer_is_tried_and_the_dear_one_stays(folder, capfd):
    words = ["bench", "sensitivity", str(folder / "float"), str(folder / "corpus" / "train.jsonl")]
    assert main([*words, "-o", str(folder / "out"), "--budget", "0.7"]) == 0
    out, _ = capfd.readouterr()
    lines = [json.loads(x) for x in (folder / "out" / "sensitivity.jsonl").read_text().splitlines()]
    costs = {line["layer"]: line for line in lines if "layer" in line}
    _, _, model = load_checkpoint(folder / "float")
    config = load_config(folder / "config.yaml")
    config.quantization = load_config(folder / "out" / "map.yaml").quantization
    mixed = build_model(config, model.num_tokens)  # the map names layers that there are
    assert costs.keys() == native_layers(mixed).keys()
    assert all(line["divergence"] > 0 for line in costs.values())
    assert costs[DEAR]["saved_bytes"] == 32 * 48 // 2
    assert config.quantization.layers[DEAR] == "w8a8"
    maps = {line["map"]: line for line in lines if "map" in line}
    assert maps["all w8a8"]["divergence"] == 0
    assert maps["all w4a8"]["code_bytes"] < maps["proposed"]["code_bytes"]
    assert maps["proposed"]["divergence"] < maps["all w4a8"]["divergence"]
    assert (folder / "out" / "sensitivity.svg").stat().st_size > 1000
    assert json.loads(out.splitlines()[-1])["proposed"]["default"] == "w4a8"


def cost(name: str, divergence: float, saved_bytes: int) -> LayerCost:
    return LayerCost(name, divergence, 0.0, saved_bytes, 0.0)


def test_a_map_by_hand():
    costs = [cost("cheap", 1.0, 100), cost("dear", 6.0, 100), cost("large", 3.0, 1000)]
    assert propose(costs, Trial(budget=0.4)).layers == {"dear": "w8a8"}  # 3 + 1 of 10
    assert propose(costs, Trial(budget=0.3)).layers == {"cheap": "w8a8", "dear": "w8a8"}
    assert propose(costs, Trial(budget=1.0)).layers == {}


@pytest.mark.parametrize(
    ("trial", "named"),
    [
        (Trial("w8a8", "w4a8"), "expected fewer bits"),
        (Trial("w4a4", "w8a8"), "the same of activations"),
        (Trial("w4a8", "w9a8"), "'w9a8'"),
        (Trial(budget=1.5), "a budget of 1.5"),
        (Trial(), "no utterance with text"),
    ],
)
def test_mistakes(folder, trial, named):
    with pytest.raises(ConfigError, match=named):
        measure_sensitivity(folder / "float", [], trial)
