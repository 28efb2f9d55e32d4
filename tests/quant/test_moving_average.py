"""Affine ranges: numbers of a hand, torch's observer and fake quantisation, ONNX Runtime."""

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from halfbyte.quant.moving_average import MOMENTUM, MovingAverageAffine


def ranged(bits: int, low: float, high: float) -> MovingAverageAffine:
    quantizer = MovingAverageAffine(bits)
    quantizer.set_range(low, high)
    return quantizer


def test_codes_by_hand():
    quantized = ranged(2, -1.0, 2.0).quantize(torch.tensor([[-5.0, -1.0, 0.0, 0.4, 2.0, 9.0]]))
    assert quantized.scales.item() == 1.0  # (2 - -1) / 3
    assert quantized.zero_points.item() == 1 - 2  # the paper's 1, held less 2^(bits-1)
    assert (quantized.codes + 2).tolist() == [[0, 0, 1, 1, 3, 3]]
    assert quantized.dequantize().tolist() == [[-1.0, -1.0, 0.0, 0.0, 2.0, 2.0]]


@pytest.mark.parametrize(("low", "high"), [(0.5, 2.0), (-3.0, -1.0), (-1.0, 1.3), (0.0, 0.0)])
def test_zero_is_always_exact(low, high):
    quantized = ranged(8, low, high).quantize(torch.zeros(1, 3))
    assert quantized.dequantize().tolist() == [[0.0, 0.0, 0.0]]


@pytest.mark.parametrize("bits", [2, 4, 7, 8])
def test_values_and_gradients_equal_torch(bits):
    torch.manual_seed(0)
    x = torch.randn(17, 23) * 2
    quantizer = ranged(bits, -1.7, 3.1)
    scale, zero = quantizer.scale_and_zero()
    other_x = x.clone().requires_grad_()
    other = torch.fake_quantize_per_tensor_affine(other_x, scale.item(), int(zero), 0, 2**bits - 1)
    torch.testing.assert_close(quantizer.quantize(x).dequantize(), other)
    other.sum().backward()
    x.requires_grad_()
    quantizer.gradient_path(x).sum().backward()
    # Torch clips half a step beyond the range, where codes end; the paper at the range.
    step = scale.item()
    is_edge = (x < -zero * step) | (x > (2**bits - 1 - zero) * step)
    differ = x.grad != other_x.grad
    assert not (differ & ~is_edge).any()
    assert x.grad[is_edge].eq(0).all()


def test_codes_equal_onnx_runtime():
    quantizer = ranged(8, -1.7, 3.1)
    scale, zero = quantizer.scale_and_zero()
    x = np.random.default_rng(0).normal(0, 2, (5, 7)).astype(np.float32)
    graph = onnx.parser.parse_model(
        '<ir_version: 10, opset_import: ["" : 21]>'
        "g (float[5,7] x, float s, uint8 z) => (uint8[5,7] q) { q = QuantizeLinear (x, s, z) }"
    )
    session = onnxruntime.InferenceSession(graph.SerializeToString())
    inputs = {"x": x, "s": scale.numpy(), "z": zero.numpy().astype(np.uint8)}
    (expected,) = session.run(None, inputs)
    codes = quantizer.quantize(torch.from_numpy(x)).codes.numpy().astype(np.int16) + 128
    np.testing.assert_array_equal(codes, expected)


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning")
def test_ranges_follow_as_torch_observer_does():
    from torch.ao.quantization.observer import MovingAverageMinMaxObserver

    other = MovingAverageMinMaxObserver(averaging_constant=1 - MOMENTUM)
    quantizer = MovingAverageAffine(8)
    torch.manual_seed(0)
    for _ in range(5):
        x = torch.randn(11, 3)
        quantizer.observe(x)
        other(x)
    torch.testing.assert_close(quantizer.low, other.min_val)
    torch.testing.assert_close(quantizer.high, other.max_val)
