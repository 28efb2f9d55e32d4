"""Every number format in one model with learned steps: training graph, ONNX Runtime, engine."""

import numpy as np
import pytest
from export.models import export_checkpoint, random_model
from train.corpus import write_config

from halfbyte.errors import UsageError
from halfbyte.export.onnx_model import export
from halfbyte.quant.formats import FORMATS
from halfbyte.quant.lsq import LearnedStep
from halfbyte.quant.native import native_layers
from halfbyte.train.checkpoint import save_checkpoint
from halfbyte.train.config import load_config

BY_LAYER = {
    "encoder.layers.0.feed_forward.expand": "w1a8",
    "encoder.layers.0.feed_forward.contract": "w2a8",
    "encoder.layers.0.feed_forward_macaron.expand": "w3a8",
    "encoder.layers.0.feed_forward_macaron.contract": "w4a4",
    "encoder.layers.1.feed_forward.expand": "w5a8",
    "encoder.layers.1.feed_forward.contract": "w6a8",
    "encoder.layers.1.feed_forward_macaron.expand": "w7a8",
    "encoder.layers.1.feed_forward_macaron.contract": "w8a8",
    "encoder.layers.1.attention.*": "w4a32",
    "encoder.layers.0.attention.out": "float32",
    "decoder.embedding": "w2a8",
}


def checkpoint(folder, *overrides: str):
    config = load_config(write_config(folder, folder), list(overrides))
    config.quantization.layers = BY_LAYER
    tokenizer, model = random_model(config, 40)
    for layer in native_layers(model).values():
        if isinstance(layer.weight_quantizer, LearnedStep):
            layer.weight_quantizer.start(layer.weight.detach())
    save_checkpoint(folder / "checkpoint", config, tokenizer, model.state_dict())
    return folder / "checkpoint"


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    folder = tmp_path_factory.mktemp("formats")
    path = checkpoint(folder, "quantization.weights=lsq")
    return export_checkpoint(path, folder)


def test_every_format_is_in_the_graph(exported):
    graphs = (exported.encoder.graph, exported.decoder.graph)
    found = [
        (node.op_type, {a.name: a.i for a in node.attribute})
        for graph in graphs
        for node in graph.node
        if node.domain
    ]
    wanted = [(f.linear_operator, f.linear_attributes) for f in FORMATS.values() if not f.is_float]
    wanted.append(("Embedding", {"weight_bits": 2}))
    assert all(layer in wanted for layer in found)
    assert all(layer in found for layer in wanted)


@pytest.mark.parametrize("runner", ["in_engine", "in_onnx_runtime"])
def test_outputs_are_those_of_the_training_graph(exported, runner):
    features, states = exported.features(6, 0, seed=3), exported.initial_states()
    expected = exported.in_torch(features, states)
    found = getattr(exported, runner)(features, states)
    difference = np.abs(found["ctc_log_probs"] - expected["ctc_log_probs"])
    # A code on the edge may flip, where float sums of earlier layers differ in their last bits.
    assert np.median(difference) < 1e-5
    assert difference.max() < 0.1


def test_static_activations_are_refused_with_the_layer(tmp_path):
    path = checkpoint(tmp_path, "quantization.activations=moving_average")
    with pytest.raises(UsageError, match=r"layer model\.encoder\.subsampling.*MovingAverageAffine"):
        export(path, tmp_path / "onnx")
