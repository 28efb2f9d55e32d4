"""Every number format in one model with learned steps: training graph, ONNX Runtime, engine."""

import numpy as np
import pytest
import torch
from export.models import export_checkpoint, following, random_model
from train.corpus import write_config

from halfbyte.measure.deployed import verify
from halfbyte.ops.native import native_layers
from halfbyte.quant.formats import FORMATS
from halfbyte.quant.lsq import LearnedStep
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


def checkpoint(folder, *overrides: str, calibrated: bool = False):
    config = load_config(write_config(folder, folder), list(overrides))
    config.quantization.layers = BY_LAYER
    tokenizer, model = random_model(config, 40)
    for layer in native_layers(model).values():
        if isinstance(layer.weight_quantizer, LearnedStep):
            layer.weight_quantizer.start(layer.weight.detach())
    if calibrated:
        _hear_noise(model)
    save_checkpoint(folder / "checkpoint", config, tokenizer, model.state_dict())
    return folder / "checkpoint"


def _hear_noise(model) -> None:
    """A few steps of training set the static ranges."""
    random = torch.Generator().manual_seed(2)
    model.train()
    with torch.no_grad():
        for _ in range(3):
            features = 12 + 3 * torch.randn(2, 67, 80, generator=random)
            frames, tokens = torch.tensor([67, 67]), torch.randint(1, 39, (2, 5), generator=random)
            model.log_probs(features, frames, tokens, torch.tensor([5, 5]))
    model.eval()


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
        if any(a.name == "weight_bits" for a in node.attribute)
    ]
    wanted = [("Embedding", {"weight_bits": 2}), ("WeightOnlyLinear", {"weight_bits": 4})]
    wanted += [
        ("Linear", {"weight_bits": f.weight_bits, "activation_bits": f.activation_bits})
        for f in FORMATS.values()
        if not f.is_float and not f.is_weight_only
    ]
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


STATIC = ["moving_average", "lsq"]  # affine and symmetric; test_static_linear.py has all


@pytest.fixture(scope="module", params=STATIC)
def static(request, tmp_path_factory):
    """Static scales in every format that has integer activations, as calibration sets them."""
    folder = tmp_path_factory.mktemp(request.param)
    path = checkpoint(folder, f"quantization.activations={request.param}", calibrated=True)
    return export_checkpoint(path, folder)


def test_static_scales_are_one_operator(static):
    operators = {node.op_type for node in static.encoder.graph.node if "Linear" in node.op_type}
    assert operators == {"StaticLinear", "WeightOnlyLinear"}
    found = {node.op for node in static.file.nodes("encoder")}
    assert "StaticLinear" in found


@pytest.mark.parametrize("runner", ["in_engine", "in_onnx_runtime"])
def test_static_models_give_what_training_computes(static, runner):
    features, states = static.features(6, 0, seed=3), static.initial_states()
    expected = static.in_torch(features, states)
    found = getattr(static, runner)(features, states)
    difference = np.abs(found["ctc_log_probs"] - expected["ctc_log_probs"])
    assert np.median(difference) < 1e-5
    assert difference.max() < 0.1


def test_a_static_model_streams_as_it_was_trained(static):
    """Chunk by chunk in the engine, and the whole utterance under the chunk mask in torch."""
    subsampling, states, parts = static.model.encoder.subsampling, static.initial_states(), []
    features = static.features(6, 0, seed=4)
    for step in range(0, 6, 2):
        start = step * subsampling.rate
        window = 2 * subsampling.rate + subsampling.overlap_frames
        outputs = static.in_engine(features[:, start : start + window].copy(), states)
        states = following(outputs)
        parts.append(outputs["encoder_out"])
    with torch.no_grad():
        num_frames = torch.tensor([features.shape[1]])
        expected, _ = static.model.encoder(torch.from_numpy(features), num_frames, 2)
    assert np.abs(np.concatenate(parts, axis=1) - expected.numpy()).max() < 0.1


def test_the_deployed_static_file_is_verified(static):
    checks = verify(static.checkpoint, static.model_file)
    assert checks
    assert all(check.is_equal for check in checks)
