"""Batch norm folded in training: the float block's answer, and codes that are those of the file."""

import numpy as np
import onnxruntime
import pytest
import torch
from export.layer_graph import graph_of
from torch import Tensor, nn

from halfbyte.ops.folding import NormedLinear
from halfbyte.ops.native import make_native
from halfbyte.quant.formats import LayerMap
from halfbyte.quant.methods import Methods

K, WIDTH, N = 20, 32, 8


class Block(nn.Module):
    """Bottlenecks as of a keyword spotter: dense, batch norm, ReLU; twice."""

    def __init__(self, bias: bool = True):
        super().__init__()
        self.first = NormedLinear(K, WIDTH, bias)
        self.second = NormedLinear(WIDTH, N, bias)

    def forward(self, x: Tensor) -> Tensor:
        return self.second(torch.relu(self.first(x)))


def inputs(seed: int, rows: int = 64) -> Tensor:
    return torch.randn(rows, 3, K, generator=torch.Generator().manual_seed(seed)) * 2 + 1


def trained_float(bias: bool = True) -> Block:
    """A float block whose averages, gains and shifts are no longer those of the start."""
    torch.manual_seed(0)
    block = Block(bias).train()
    for norm in (block.first.norm, block.second.norm):
        nn.init.uniform_(norm.weight, 0.5, 2.0)
        nn.init.normal_(norm.bias)
    for seed in range(60):
        block(inputs(seed))
    return block.eval()


def native(block: Block, number: str = "w8a8", **methods: str) -> Block:
    twin = Block(block.first.bias is not None)
    make_native(twin, LayerMap(number, {}), Methods(**methods))
    twin.load_state_dict(block.state_dict(), strict=False)
    return twin


@pytest.mark.parametrize("bias", [True, False])
def test_the_folded_layer_is_the_float_block_up_to_rounding(bias):
    block = trained_float(bias)
    twin, x = native(block).eval(), inputs(99)
    assert twin.first.norm is not None
    expected = block(x)
    error = (twin(x) - expected).square().mean() / expected.square().mean()
    assert error < 1e-3
    folded = nn.functional.linear(x, twin.first.folded_weight(), twin.first.folded_bias())
    torch.testing.assert_close(folded, block.first(x), rtol=1e-4, atol=1e-4)


def test_training_moves_the_averages_as_batch_norm_does():
    block = trained_float()
    twin, x = native(block).train(), inputs(100)
    block.train()(x)
    twin(x)
    for name in ("running_mean", "running_var"):
        expected = getattr(block.first.norm, name)
        torch.testing.assert_close(getattr(twin.first.norm, name), expected)


def test_a_step_of_training_computes_with_the_codes_that_would_be_exported():
    twin = native(trained_float()).train()
    x = inputs(101)
    seen = twin(x)
    twin.eval()  # no average moves any more: this is what export freezes
    assert torch.equal(twin(x), seen)


@pytest.mark.parametrize(("training", "error"), [(False, 0.02), (True, 0.1)])
def test_gradients_are_those_of_batch_norm(training, error):
    """In training those of the batch's statistics, from which the averages differ a little."""
    block = trained_float()
    twin, x, grad = native(block), inputs(102).flatten(0, 1), torch.randn(192, WIDTH)
    layer, float_layer = twin.first.train(training), block.first.train(training)
    layer(x).backward(grad)
    float_layer(x).backward(grad)
    for name, parameter in float_layer.named_parameters():
        found = layer.get_parameter(name).grad
        assert (found - parameter.grad).norm() < error * parameter.grad.norm() + 1e-3, name


@pytest.mark.parametrize("number", ["w8a8", "w4a8", "w4a32"])
def test_training_lowers_the_error_with_folded_weights(number):
    block, x = trained_float(), inputs(103)
    target = torch.tanh(block(x)).detach()
    twin = native(block, number).train()
    optimizer = torch.optim.Adam(twin.parameters(), 3e-3)
    losses = []
    for _ in range(200):
        loss = (twin(x) - target).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.4 * losses[0]


def test_the_exported_node_gives_what_a_step_of_training_computed():
    layer, x = native(trained_float(), "w4a8").first.train(), inputs(104).flatten(0, 1)
    trained = layer(x).detach().numpy()
    session = onnxruntime.InferenceSession(graph_of(layer, {"x": x.numpy()}).SerializeToString())
    np.testing.assert_array_equal(session.run(None, {"x": x.numpy()})[0], trained)
