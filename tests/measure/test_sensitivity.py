"""Sensitivity: costs of layers of a small model, and the map that follows from them by hand."""

import json

import pytest
from export.models import random_model
from train.corpus import write_config, write_corpus

from halfbyte.cli import main
from halfbyte.errors import ConfigError
from halfbyte.measure.sensitivity import LayerCost, Trial, measure_sensitivity, propose
from halfbyte.ops.native import native_layers
from halfbyte.train.checkpoint import build_model, load_checkpoint, save_checkpoint
from halfbyte.train.config import QuantizationConfig, load_config
from halfbyte.train.config_reader import build_config, read_tree

DEAR = "encoder.layers.1.feed_forward.expand"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A float checkpoint of random weights; one layer has a weight that 4 bits cannot bear."""
    folder = tmp_path_factory.mktemp("sensitivity")
    corpus = write_corpus(folder / "corpus", num_utterances=3)
    config = load_config(write_config(folder, corpus), ["quantization.default=float32"])
    tokenizer, model = random_model(config, 40)
    model.get_submodule(DEAR).weight.data[:, 0] = 3.0
    save_checkpoint(folder / "float", config, tokenizer, model.state_dict())
    return folder


def test_every_layer_is_tried_and_the_dear_one_stays(folder, capfd):
    words = ["bench", "sensitivity", str(folder / "float"), str(folder / "corpus" / "train.jsonl")]
    assert main([*words, "-o", str(folder / "out"), "--budget", "1.2"]) == 0
    out, _ = capfd.readouterr()
    lines = [json.loads(x) for x in (folder / "out" / "sensitivity.jsonl").read_text().splitlines()]
    costs = {line["layer"]: line for line in lines if "layer" in line}
    _, tokenizer, _ = load_checkpoint(folder / "float")
    config = load_config(folder / "config.yaml")
    quantization = read_tree(folder / "out" / "map.yaml")["quantization"]
    config.quantization = build_config(QuantizationConfig, quantization)
    mixed = build_model(config, tokenizer)  # the map names layers that there are
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


def cost(name: str, number_format: str, divergence: float, code_bytes: int) -> LayerCost:
    high_bytes = code_bytes * 8 // int(number_format[1])
    saved_bytes = high_bytes - code_bytes
    return LayerCost(name, number_format, divergence, 0.0, code_bytes, saved_bytes, 0.0)


def test_a_map_of_two_formats_by_hand():
    costs = [
        cost("cheap", "w4a8", 1.0, 100),
        cost("dear", "w4a8", 6.0, 100),
        cost("large", "w4a8", 3.0, 1000),
    ]

    def kept(budget: float) -> dict[str, str]:
        return propose(costs, Trial(budget=budget)).layers

    assert kept(1.0) == {}
    assert kept(1.1) == {"dear": "w8a8"}  # 1300 of 1320 bytes
    assert kept(1.2) == {"cheap": "w8a8", "dear": "w8a8"}
    assert set(kept(2.0)) == {"cheap", "dear", "large"}


def test_a_map_of_three_formats_takes_from_one_layer_what_another_needs():
    costs = [
        cost("dear", "w4a8", 6.0, 100),
        cost("dear", "w2a8", 60.0, 50),
        cost("cheap", "w4a8", 0.1, 200),
        cost("cheap", "w2a8", 0.5, 100),
    ]
    found = propose(costs, Trial(("w8a8", "w4a8", "w2a8"), budget=1.0))
    assert (found.default, found.layers) == ("w4a8", {"dear": "w8a8", "cheap": "w2a8"})


@pytest.mark.parametrize(
    ("trial", "named"),
    [
        (Trial(("w4a8", "w8a8")), "decreasing order"),
        (Trial(("w8a8",)), "two or more"),
        (Trial(("float32", "w4a32")), "two or more quantised"),
        (Trial(("w8a8", "w4a4")), "the same activation bits"),
        (Trial(("w9a8", "w4a8")), "'w9a8'"),
        (Trial(budget=0.5), "--budget must be at least 1.0 with w4a8; got 0.5"),
        (Trial(budget=float("nan")), "got nan"),
        (Trial(), "no utterance with labels"),
    ],
)
def test_mistakes(folder, trial, named):
    with pytest.raises(ConfigError, match=named):
        measure_sensitivity(folder / "float", [], trial)
