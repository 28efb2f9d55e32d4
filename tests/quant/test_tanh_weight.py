"""Weights rounded after tanh: the formula, its gradient, and codes that abs-max finds again."""

import pytest
import torch

from halfbyte.ops.folding import NormedLinear
from halfbyte.ops.native import make_native
from halfbyte.quant.absmax import AbsMaxWeight
from halfbyte.quant.formats import LayerMap
from halfbyte.quant.methods import Methods
from halfbyte.quant.tanh_weight import TanhWeight

BITS = [1, 4, 5, 8]


@pytest.fixture
def weight() -> torch.Tensor:
    return torch.randn(16, 64, generator=torch.Generator().manual_seed(0)) * 0.7


@pytest.mark.parametrize("bits", [4, 5, 8])
def test_formula(weight, bits):
    quantized = TanhWeight(bits).quantize(weight)
    t, qmax = torch.tanh(weight).double(), 2 ** (bits - 1) - 1
    largest = t.abs().amax(1, keepdim=True)
    exact = t / largest * qmax  # the stored scale has eleven bits
    assert (quantized.codes - exact).abs().max() < 0.5 + qmax * 2**-11
    torch.testing.assert_close(quantized.dequantize().double(), t, atol=float(0.6 / qmax), rtol=0)


def test_one_bit_is_the_sign(weight):
    quantized = TanhWeight(1).quantize(weight)
    assert quantized.codes.equal(torch.where(weight >= 0, 1, -1).to(torch.int8))
    expected = torch.tanh(weight).abs().mean(1, keepdim=True)
    torch.testing.assert_close(quantized.scales, expected, rtol=1e-3, atol=0)


def test_gradient_goes_through_tanh(weight):
    weight.requires_grad_()
    TanhWeight(4).gradient_path(weight).sum().backward()
    torch.testing.assert_close(weight.grad, 1 - torch.tanh(weight.detach()) ** 2)


@pytest.mark.parametrize("bits", BITS)
def test_settled_weights_have_the_same_codes_for_any_norm(weight, bits):
    torch.manual_seed(1)
    layer = torch.nn.Sequential(NormedLinear(64, 16, bias=False))
    make_native(layer, LayerMap(f"w{bits}a8", {}), Methods("tanh"))
    native = layer[0]
    with torch.no_grad():
        native.weight.copy_(weight)
        native.norm.weight.uniform_(0.5, 2)
        native.norm.running_var.uniform_(0.1, 3)
    codes = native.quantized_weight().codes
    native.settle_weight()
    native.weight_quantizer = AbsMaxWeight(bits)
    for _ in range(20):
        assert native.quantized_weight().codes.equal(codes)
        with torch.no_grad():
            native.norm.weight.uniform_(0.2, 3)
            native.norm.running_var.uniform_(0.01, 9)
