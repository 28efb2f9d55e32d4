"""Batch norm of integer-only models and of depthwise convolutions: folded, never run."""

import copy

import pytest
import torch
from onnx_graphs import as_array, assert_same, compiled, run_reference
from torch import Tensor, nn

from halfbyte.blocks.conformer import CausalDepthwise
from halfbyte.blocks.encoder import FeatureNorm
from halfbyte.blocks.integer import make_integer
from halfbyte.blocks.leaves import Numbers, Relu
from halfbyte.blocks.norm import LayerNorm
from halfbyte.engine import Session, State
from halfbyte.export.graphs import trace
from halfbyte.export.onnx_model import finish
from halfbyte.families.family import Example, GraphSpec
from halfbyte.ops.folding import FoldsNorm, NormedLinear, keep_averages
from halfbyte.ops.native import make_native
from halfbyte.quant.formats import LayerMap

BINS, WIDTH, TAPS, N = 12, 16, 3, 4


class Body(nn.Module):
    """Frames of a chunk through dense layers and a depthwise one, each with a batch norm."""

    def __init__(self) -> None:
        super().__init__()
        self.feature_norm = FeatureNorm(BINS)
        self.first, self.relu = NormedLinear(BINS, WIDTH), Relu()
        self.depthwise = CausalDepthwise(WIDTH, TAPS, has_norm=True)
        self.norm = LayerNorm(WIDTH)
        self.second, self.numbers = NormedLinear(WIDTH, N, bias=False), Numbers()

    def forward(self, x: Tensor, states: list[Tensor] | None = None) -> tuple[Tensor, Tensor]:
        memory = self.depthwise.memory
        like = x.new_zeros(WIDTH)
        past = memory.restored(states[0]) if states else memory.empty(len(x), TAPS - 1, like)
        y, kept = self.depthwise(past, self.relu(self.first(self.feature_norm(x))))
        scores = self.numbers(self.second(self.norm(y)))
        return scores, memory.stored(kept) if states else kept


class Spotter(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.body = Body()


def frames(seed: int, batch: int = 8) -> Tensor:
    return torch.randn(batch, 9, BINS, generator=torch.Generator().manual_seed(seed)) * 2 + 1


def trained(mode: str) -> tuple[Body, Body]:
    """A float model with averages, gains and shifts of its own, and its twin in a mode."""
    torch.manual_seed(0)
    model = Spotter().train()
    for module in model.modules():
        if isinstance(module, nn.BatchNorm1d):
            nn.init.uniform_(module.weight, 0.5, 2.0)
            nn.init.normal_(module.bias)
    for seed in range(60):
        model.body(frames(seed))
    twin = copy.deepcopy(model)
    if mode != "float":
        make_native(twin, LayerMap("w8a8", {}))
    if mode == "integer":
        make_integer(twin, ["body"], lambda: twin.body(frames(0, 1)))
        keep_averages(twin.train())
        for seed in range(20):  # ranges start and settle
            twin.body(frames(seed))
    return model.body.eval(), twin.body.eval()


@pytest.mark.parametrize("mode", ["native", "integer"])
def test_folded_layers_give_the_float_models_scores_up_to_rounding(mode):
    model, twin = trained(mode)
    expected = model(frames(99))[0]
    scores = twin(frames(99))[0]
    assert (scores - expected).square().mean() < 4e-3 * expected.var()


@pytest.mark.parametrize("mode", ["native", "integer"])
def test_a_step_computes_with_the_codes_that_would_be_exported(mode):
    twin = trained(mode)[1].train()
    before = [f.norm.running_mean.clone() for f in twin.modules() if isinstance(f, FoldsNorm)]
    scores = twin(frames(100))[0]
    scores.square().mean().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in twin.parameters())
    after = [f.norm.running_mean for f in twin.modules() if isinstance(f, FoldsNorm)]
    assert not any(torch.equal(a, b) for a, b in zip(before, after, strict=True))
    # the same averages and ranges, which is what export freezes
    assert torch.equal(twin.eval()(frames(100))[0], scores)


@pytest.mark.parametrize("mode", ["float", "native", "integer"])
def test_the_file_holds_folded_weights_and_no_norm(mode, tmp_path):
    _, model = trained(mode)
    x = frames(101, 1)
    past = torch.zeros(1, TAPS - 1, WIDTH, dtype=torch.int8 if mode == "integer" else None)
    spec = GraphSpec(
        model,
        {"x": Example(x, {1: "time"})},
        ("scores",),
        {"state.past": Example(past, {})},
    )
    onnx_model = finish(trace(spec))
    assert "BatchNormalization" not in {node.op_type for node in onnx_model.graph.node}
    given = {"x": x.numpy(), "state.past": past.numpy()}
    outputs = spec.run({"x": x}, {"state.past": past})
    expected = {name: value.numpy() for name, value in outputs.items()}
    tolerance = 0 if mode == "integer" else 2e-2
    state = State(file := compiled(onnx_model, tmp_path), "graph")
    engine = Session(file, "graph").run({"x": x.numpy()}, state)
    assert_same(run_reference(onnx_model, given), expected, tolerance, tolerance)
    assert_same(
        {n: as_array(v) for n, v in engine.items()},
        {"scores": expected["scores"]},
        tolerance,
        tolerance,
    )
