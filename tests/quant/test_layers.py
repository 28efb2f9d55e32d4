"""Native layers compute the integer operation forward and pass gradients straight through."""

import numpy as np
import pytest
import torch
from torch import nn

from halfbyte.errors import ConfigError
from halfbyte.ops import linear, weight_only_linear
from halfbyte.ops.embedding import NativeEmbedding
from halfbyte.ops.native import make_native
from halfbyte.ops.native_linear import NativeLinear
from halfbyte.quant import reference
from halfbyte.quant.absmax import quantize_rows, quantize_weight
from halfbyte.quant.formats import FORMATS, LayerMap
from halfbyte.quant.methods import ACTIVATION_METHODS, Methods

NATIVE = [*(f"w{bits}a8" for bits in range(1, 9)), "w4a4"]


def native_linear(number: str, inputs: int = 45, outputs: int = 19) -> NativeLinear:
    torch.manual_seed(0)
    return NativeLinear(inputs, outputs, FORMATS[number])


@pytest.mark.parametrize("number", NATIVE)
@pytest.mark.parametrize("fill", ["random", "zeros", "outlier", "all_largest"])
def test_forward_equals_reference(number, fill):
    layer = native_linear(number)
    x = torch.randn(2, 7, 45)
    if fill == "zeros":
        x.zero_()
    if fill == "outlier":
        x[..., 3] = 1e5
    if fill == "all_largest":
        x.fill_(3.0)
    kind = FORMATS[number]
    codes, scales = reference.quantize_weight(layer.weight.detach().numpy(), kind.weight_bits)
    expected = linear.reference(
        x.numpy().reshape(-1, 45),
        codes,
        scales,
        layer.bias.detach().numpy().astype(np.float16),
        kind.activation_bits,
    )
    np.testing.assert_array_equal(layer(x).detach().numpy().reshape(-1, 19), expected)


@pytest.mark.parametrize("number", NATIVE)
def test_gradients_are_those_of_the_dequantised_product(number):
    layer = native_linear(number)
    x = torch.randn(6, 45, requires_grad=True)
    grad = torch.randn(6, 19)
    layer(x).backward(grad)
    w_codes, w_scales = quantize_weight(layer.weight.detach(), layer.number.weight_bits)
    x_codes, x_scales = quantize_rows(x.detach(), layer.number.activation_bits)
    torch.testing.assert_close(x.grad, grad @ (w_codes * w_scales[:, None]))
    torch.testing.assert_close(layer.weight.grad, grad.t() @ (x_codes * x_scales))
    torch.testing.assert_close(layer.bias.grad, grad.sum(0))


def test_embedding_gives_stored_rows_and_trains_the_master_weights():
    torch.manual_seed(0)
    layer = NativeEmbedding(5, 8, FORMATS["w4a8"])
    codes, scales = quantize_weight(layer.weight.detach(), 4)
    out = layer(torch.tensor([[1, 3]]))
    assert torch.equal(out[0], (codes * scales[:, None])[[1, 3]])
    out.sum().backward()
    assert layer.weight.grad[[1, 3]].eq(1).all()
    assert layer.weight.grad[[0, 2, 4]].eq(0).all()


def small_model() -> nn.Module:
    return nn.Sequential(nn.Embedding(4, 8), nn.Linear(8, 8), nn.Linear(8, 2))


def test_map_chooses_formats_by_name_and_keeps_weights():
    model = small_model()
    weight = model[1].weight.detach().clone()
    make_native(model, LayerMap("w4a8", {"1": "w8a8", "2": "float32"}))
    assert [type(layer) for layer in model] == [NativeEmbedding, NativeLinear, nn.Linear]
    assert model[1].number.name == "w8a8"
    assert torch.equal(model[1].weight, weight)


def test_a_pattern_that_names_nothing_is_a_mistake():
    with pytest.raises(ConfigError, match=r"encodr\.\*"):
        make_native(small_model(), LayerMap("w4a8", {"encodr.*": "w8a8"}))


def test_an_unknown_format_is_a_mistake():
    with pytest.raises(ConfigError, match="w3a7"):
        LayerMap("w3a7", {})


@pytest.mark.parametrize("group", [0, 5])
def test_weight_only_multiplies_what_the_codes_stand_for(group):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(45, 19))
    make_native(model, LayerMap("w4a32", {}), Methods(group=group))
    x = torch.randn(6, 45, requires_grad=True)
    quantized = model[0].quantized_weight()
    y = model(x)
    expected = weight_only_linear.reference(
        x.detach().numpy(),
        quantized.codes.numpy(),
        quantized.scales.numpy(),
        model[0].bias.detach().numpy().astype(np.float16),
    )
    np.testing.assert_allclose(y.detach().numpy(), expected, rtol=1e-5, atol=1e-6)
    y.sum().backward()
    torch.testing.assert_close(x.grad, quantized.dequantize().sum(0).expand(6, 45))
    torch.testing.assert_close(model[0].weight.grad, x.detach().sum(0).expand(19, 45))


@pytest.mark.parametrize("activations", [name for name in ACTIVATION_METHODS if name != "absmax"])
@pytest.mark.parametrize("weights", ["absmax", "lsq"])
@pytest.mark.parametrize("number", ["w8a8", "w4a8", "w2a8", "w4a4"])
def test_static_activations_give_the_product_of_what_the_codes_stand_for(
    weights, activations, number
):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(45, 19))
    make_native(model, LayerMap(number, {}), Methods(weights, activations))
    x = torch.randn(6, 45) + 0.5
    model.train()
    y = model(x)  # the first batch sets the ranges
    layer = model[0]
    w = layer.quantized_weight().dequantize().double()
    dequantized = layer.activation_quantizer.quantize(x).dequantize().double()
    bias = layer.bias.detach().half().double()
    torch.testing.assert_close(y.double(), dequantized @ w.t() + bias, rtol=1e-5, atol=1e-5)
    y.square().sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())


def test_a_learned_step_lowers_the_error_of_a_layer():
    torch.manual_seed(0)
    x = torch.randn(64, 45)
    model = nn.Sequential(nn.Linear(45, 19))
    target = model(x).detach()
    make_native(model, LayerMap("w2a8", {}), Methods("lsq"))
    layer = model[0]
    layer.weight_quantizer.set_scales(torch.full((19, 1), 0.01))  # clips all
    optimizer = torch.optim.Adam([layer.weight_quantizer.step], 0.05)
    losses = []
    for _ in range(60):
        loss = (layer(x) - target).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.8 * losses[0]


def test_methods_that_cannot_serve_are_mistakes():
    with pytest.raises(ConfigError, match=r"quantization.weights is 'dorefa'; expected .* absmax"):
        Methods("dorefa")
    with pytest.raises(ConfigError, match=r"layer 1 is w4a8.*quantization.group=0"):
        make_native(small_model(), LayerMap("w4a8", {}), Methods(group=4))
    with pytest.raises(ConfigError, match=r"layer 1 has 8 inputs, no multiple of .*group=3"):
        make_native(small_model(), LayerMap("w4a32", {}), Methods(group=3))
