"""The torch quantiser gives the bits of the numpy reference, and the numbers of a hand."""

import numpy as np
import pytest
import torch

from halfbyte.errors import ConfigError
from halfbyte.quant import reference
from halfbyte.quant.absmax import AbsMaxWeight, quantize_rows, quantize_weight
from halfbyte.quant.quantizer import TENSOR, Granularity


def test_weight_by_hand():
    codes, scales = quantize_weight(torch.tensor([[0.7, -0.35, 0.15, 0.0]]), 4)
    step = float(np.float16(0.1))
    assert scales.tolist() == [step]
    assert codes.tolist() == [[7, -4, 2, 0]]  # 0.35/step is just above 3.5, 0.15/step above 1.5


@pytest.mark.parametrize(
    ("bits", "codes", "scale"),
    [
        (1, [1, -1, 1, 1], 1.5),  # the sign, 0 counting as positive; the mean of |w|
        (2, [1, -1, 0, 0], 2.0),  # 3 is one code and a half: -1.5 -> -0.75 -> -1, 1 -> 0.5 -> 0
        (3, [3, -2, 1, 1], 6 / 7),  # 3 is 3.5 codes, the others -1.75, 1.17 and 0.58
    ],
)
def test_few_bits_by_hand(bits, codes, scale):
    found, scales = quantize_weight(torch.tensor([[3.0, -1.5, 1.0, 0.5]]), bits)
    assert found.tolist() == [codes]
    assert scales.tolist() == [float(np.float16(scale))]


def test_rows_by_hand():
    codes, scales = quantize_rows(torch.tensor([[127.0, -63.5, 0.5], [0.0, 0.0, 0.0]]), 8)
    assert scales.tolist() == [[1.0], [1.0]]
    assert codes.tolist() == [[127, -64, 0], [0, 0, 0]]  # ties to even


def rows_of(kind: str) -> np.ndarray:
    rng = np.random.default_rng(7)
    x = rng.standard_normal((33, 45)).astype(np.float32)
    if kind == "outlier":
        x[:, 3] = 3e6
    if kind == "tiny":
        x *= np.float32(1e-30)
        x[1] = 1e-38
        x[2] = 0
    return x


@pytest.mark.parametrize("kind", ["random", "outlier", "tiny"])
@pytest.mark.parametrize("bits", [4, 8])
def test_rows_equal_reference(kind, bits):
    x = rows_of(kind)
    codes, scales = quantize_rows(torch.from_numpy(x), bits)
    expected_codes, expected_scales = reference.quantize_rows(x, bits)
    np.testing.assert_array_equal(codes.numpy(), expected_codes)
    np.testing.assert_array_equal(scales.numpy().ravel(), np.ravel(expected_scales))


@pytest.mark.parametrize("kind", ["random", "outlier", "tiny"])
@pytest.mark.parametrize("bits", range(1, 9))
def test_weights_equal_reference(kind, bits):
    w = np.minimum(rows_of(kind), np.float32(4e4))  # a scale must fit fp16
    codes, scales = quantize_weight(torch.from_numpy(w), bits)
    expected_codes, expected_scales = reference.quantize_weight(w, bits)
    np.testing.assert_array_equal(codes.numpy(), expected_codes)
    np.testing.assert_array_equal(scales.numpy(), expected_scales.astype(np.float32))


@pytest.mark.parametrize("bits", range(1, 9))
def test_groups_and_tensors_are_channels_of_another_shape(bits):
    w = torch.from_numpy(rows_of("random"))
    by_group = AbsMaxWeight(bits, Granularity("group", 9)).quantize(w)
    codes, scales = quantize_weight(w.reshape(-1, 9), bits)
    assert torch.equal(by_group.codes, codes.reshape(w.shape))
    assert torch.equal(by_group.scales, scales.reshape(33, 5))
    by_tensor = AbsMaxWeight(bits, TENSOR).quantize(w)
    codes, scales = quantize_weight(w.reshape(1, -1), bits)
    assert torch.equal(by_tensor.dequantize(), (codes * scales).reshape(w.shape))


@pytest.mark.parametrize("bits", [0, 9, 16])
def test_bits_outside_are_a_mistake(bits):
    with pytest.raises(ConfigError, match=f"has {bits} bits"):
        AbsMaxWeight(bits)


def test_a_group_that_does_not_divide_is_a_mistake():
    with pytest.raises(ConfigError, match="group=7 does not divide 45 inputs"):
        AbsMaxWeight(4, Granularity("group", 7)).quantize(torch.zeros(3, 45))
