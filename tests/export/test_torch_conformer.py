"""A torch Conformer block with relative positions, exported by dynamo, against ONNX Runtime."""

import math
import warnings

import numpy as np
import onnx
import pytest
import torch
from onnx import numpy_helper
from onnx_graphs import as_array, compiled, run_reference
from torch import nn
from torch.nn import functional

from halfbyte.engine import Session, State

D, HEADS, LEFT_STEPS, TAPS, REACH = 32, 4, 6, 5, 64
STATES = ("key", "value", "conv", "valid")


class Block(nn.Module):
    """Subsampling by 4, relative-position attention over a cache, causal convolution, CTC."""

    def __init__(self) -> None:
        super().__init__()
        self.front = nn.Linear(7 * 8, D)
        self.norms = nn.ModuleList(nn.LayerNorm(D) for _ in range(3))
        self.query, self.key, self.value, self.position = (nn.Linear(D, D) for _ in range(4))
        self.pointwise, self.depthwise = nn.Linear(D, 2 * D), nn.Conv1d(D, D, TAPS, groups=D)
        self.ctc = nn.Linear(D, 11)
        self.register_buffer("table", torch.randn(2 * REACH, D).half())

    def heads(self, x):
        return x.view(x.shape[0], -1, HEADS, D // HEADS).transpose(1, 2)

    def attend(self, x, key, value, valid):
        batch, steps, _ = x.shape
        key = torch.cat([key, self.heads(self.key(x))], 2)
        value = torch.cat([value, self.heads(self.value(x))], 2)
        total = key.shape[2]
        table = self.table[REACH - total : REACH - 1 + steps].float()
        query, position = self.heads(self.query(x)), self.heads(self.position(table)[None])
        shifted = functional.pad(query @ position.transpose(-1, -2), (1, 0))
        shifted = shifted.reshape(batch, HEADS, total + steps, steps)[:, :, 1:]
        shifted = shifted.reshape(batch, HEADS, steps, total + steps - 1)[..., :total]
        valid = torch.cat([valid, torch.ones(batch, steps)], 1)
        scores = (query @ key.transpose(-1, -2) + shifted) / math.sqrt(D // HEADS)
        weights = torch.softmax(scores + ((valid - 1) * 1e9)[:, None, None], -1)
        out = (weights @ value).transpose(1, 2).reshape(batch, steps, D)
        return out, key[:, :, steps:], value[:, :, steps:], valid[:, steps:]

    def forward(self, features, key, value, conv, valid):
        steps = (features.shape[1] - 7) // 4 + 1
        patches = [features[:, i : i + 4 * (steps - 1) + 1 : 4] for i in range(7)]
        x = self.front(torch.cat(patches, -1))
        out, key, value, valid = self.attend(self.norms[0](x), key, value, valid)
        x = x + out
        gated = functional.glu(self.pointwise(self.norms[1](x)), -1)
        gated = torch.cat([conv, gated], 1)
        x = x + functional.silu(self.depthwise(gated.transpose(1, 2)).transpose(1, 2))
        log_probs = torch.log_softmax(self.ctc(self.norms[2](x)), -1)
        return x, log_probs, key, value, gated[:, 1 - TAPS :], valid


def initial_states():
    cache = np.zeros((1, HEADS, LEFT_STEPS, D // HEADS), np.float32)
    conv, valid = np.zeros((1, TAPS - 1, D), np.float32), np.zeros((1, LEFT_STEPS), np.float32)
    return dict(zip(STATES, (cache, cache, conv, valid), strict=True))


@pytest.fixture(scope="module")
def exported():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter's own, about its pytree and axis names
        return export_block()


def export_block():
    torch.manual_seed(0)
    states = {name: torch.from_numpy(array.copy()) for name, array in initial_states().items()}
    time, left = torch.export.Dim("time", min=7, max=200), torch.export.Dim("left", min=2, max=40)
    axes = {"features": {1: time}, "key": {2: left}, "value": {2: left}, "conv": {}}
    program = torch.onnx.export(
        Block().eval(),
        (torch.randn(1, 27, 8), *states.values()),
        dynamo=True,
        opset_version=21,
        dynamic_shapes=axes | {"valid": {1: left}},
        input_names=["features", *(f"state.{name}" for name in STATES)],
        output_names=["encoder_out", "ctc_log_probs", *(f"next.{name}" for name in STATES)],
        verbose=False,
    )
    model: onnx.ModelProto = program.model_proto
    for name, array in initial_states().items():
        model.graph.initializer.append(numpy_helper.from_array(array, f"state.{name}"))
    return model


def test_exported_conformer_streams_as_in_onnx_runtime(exported, tmp_path):
    model_file = compiled(exported, tmp_path, "encoder")
    session, state = Session(model_file), State(model_file)
    states = {f"state.{name}": array for name, array in initial_states().items()}
    rng = np.random.default_rng(0)
    for frames in (27, 27, 11, 7, 27, 60):
        features = rng.standard_normal((1, frames, 8)).astype(np.float32)
        got = session.run({"features": features}, state)
        expected = run_reference(exported, {"features": features, **states})
        for name in ("encoder_out", "ctc_log_probs"):
            np.testing.assert_allclose(as_array(got[name]), expected[name], rtol=1e-4, atol=1e-4)
        states = {name: expected[name.replace("state.", "next.")] for name in states}
        for name, tensor in state.tensors().items():
            np.testing.assert_allclose(as_array(tensor), states[name], rtol=1e-4, atol=1e-4)
