"""The torch quantiser gives the bits of the numpy reference, and the numbers of a hand."""

import numpy as np
import pytest
import torch

from halfbyte.quant import reference
from halfbyte.quant.absmax import quantize_rows, quantize_weight


def test_weight_by_hand():
    codes, scales = quantize_weight(torch.tensor([[0.7, -0.35, 0.15, 0.0]]), 4)
    step = float(np.float16(0.1))
    assert scales.tolist() == [step]
    assert codes.tolist() == [[7, -4, 2, 0]]  # 0.35/step is just above 3.5, 0.15/step above 1.5


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
@pytest.mark.parametrize("bits", [4, 8])
def test_weights_equal_reference(kind, bits):
    w = np.minimum(rows_of(kind), np.float32(4e4))  # a scale must fit fp16
    codes, scales = quantize_weight(torch.from_numpy(w), bits)
    expected_codes, expected_scales = reference.quantize_weight(w, bits)
    np.testing.assert_array_equal(codes.numpy(), expected_codes)
    np.testing.assert_array_equal(scales.numpy(), expected_scales.astype(np.float32))
