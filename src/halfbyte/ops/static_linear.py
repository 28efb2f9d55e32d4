"""StaticLinear: a linear layer on integers whose input has one scale, known beforehand.

    q[k]   = clip(rint(x[k] / s) + z, low, high)
    acc[n] = Σ_k q[k] · code[n][k] + offset[n],       offset[n] = -z · Σ_k code[n][k]
    y[n]   = ((fp32(acc[n]) · s) · fp32(scale[n])) + fp32(bias[n])

The zero point z is in the int32 offsets, so it costs nothing in the sums. Every way to choose a
static scale is this one operator: symmetric (z = 0, low = -high), affine, clipped, learned, a power
of two.

x (..., K) fp32, finite; code (N, K) of 1 to 8 bits; scale and bias (N) fp16; offset (N) int32; s,
the input `step`, fp32, 2^-100 <= s <= 2^100; -128 <= low <= z <= high <= 127. K is at most half of
what Linear may have, for |q - z| <= 255.

Source: Jacob et al. 2018 (arXiv:1712.05877). Differences: the result is float, and the bias stays
fp16 as in Linear, where theirs is rounded to units of s · scale.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from halfbyte.errors import InputError
from halfbyte.ops import matmul_codes
from halfbyte.ops.onnx_text import FLOAT, INT8, attribute
from halfbyte.ops.operator import PACKED, Attributes, Operator
from halfbyte.quant.quantizer import Quantized, Quantizer
from halfbyte.quant.reference import FloatArray, HalfArray, Int8Array


@dataclass(frozen=True)
class StaticScale:
    """How a value becomes a code: clip(rint(x / scale) + zero_point, low, high)."""

    scale: float
    zero_point: int
    low: int
    high: int

    @classmethod
    def of(cls, quantizer: Quantizer) -> "StaticScale":
        """That of a quantiser with one scale a tensor."""
        quantized = quantizer.quantize(torch.zeros(1, 1))
        zero = 0 if quantized.zero_points is None else int(quantized.zero_points)
        return cls(float(quantized.scales), zero, *quantizer.limits)

    @property
    def attributes(self) -> Attributes:
        """Zero point and limits as those of a node."""
        return {"zero_point": self.zero_point, "low": self.low, "high": self.high}

    def offsets(self, codes: Tensor) -> Tensor:
        """-z · Σ_k code[n][k], what the zero point adds to the sums; (N, K) -> (N,) int32."""
        return -self.zero_point * codes.sum(dim=1, dtype=torch.int32)

    def codes(self, x: FloatArray) -> Int8Array:
        """Codes of x in numpy.

        Raises:
            InputError: x holds NaN or infinity.
        """
        if not np.isfinite(x).all():
            raise InputError("a linear layer's input holds NaN or infinity")
        with np.errstate(over="ignore"):  # a quotient beyond fp32 is clipped like any other
            steps = np.rint(x / np.float32(self.scale)) + np.float32(self.zero_point)
        return np.clip(steps, self.low, self.high).astype(np.int8)


def reference(
    x: FloatArray, codes: Int8Array, scales: HalfArray, bias: HalfArray, static: StaticScale
) -> FloatArray:
    """The formula in numpy.

    Args:
        x: (..., K) float32, finite.
        codes: (N, K) int8.
        scales: (N,) float16, each > 0.
        bias: (N,) float16.
        static: scale, zero point and limits of the codes of x.

    Returns:
        (..., N) float32.

    >>> half, static = np.float16([0.5]), StaticScale(2.0, -128, -128, 127)
    >>> reference(np.float32([[4.0, -1.0]]), np.int8([[3, 1]]), half, half, static).tolist()
    [[6.5]]
    """
    q = static.codes(x.reshape(-1, x.shape[-1]))
    offsets = -static.zero_point * codes.sum(axis=1, dtype=np.int32)
    acc = matmul_codes.reference(q, codes) + offsets
    scaled = (acc.astype(np.float32) * np.float32(static.scale)) * scales.astype(np.float32)
    y = scaled + bias.astype(np.float32)
    return y.reshape(*x.shape[:-1], codes.shape[0])


def compute(x: Quantized, weight: Quantized, bias: Tensor) -> Tensor:
    """The formula in torch, from codes on.

    Args:
        x: (M, K), per tensor.
        weight: (N, K), per tensor or channel, without zero points.
        bias: (N,) float32.

    Returns:
        (M, N) float32.
    """
    acc = matmul_codes.compute(x.codes, weight.codes)
    if x.zero_points is not None:
        acc = acc - x.zero_points * weight.codes.sum(dim=1, dtype=acc.dtype)
    return acc.float() * x.scales * weight.scales[:, 0] + bias


OPERATOR = Operator(
    "StaticLinear",
    "x, codes, scales, bias, offsets, step",
    attributes="weight_bits, zero_point, low, high",
    constants={
        "codes": PACKED,
        "scales": "float32",
        "bias": "float32",
        "offsets": "int32",
        "step": "float32",
    },
    body=attribute("zero_point")
    + attribute("low")
    + attribute("high")
    + f"""
    zero_f32 = Cast <to = {FLOAT}> (zero_point_attr)
    low_f32 = Cast <to = {FLOAT}> (low_attr)
    high_f32 = Cast <to = {FLOAT}> (high_attr)
    scaled_x = Div (x, step)
    rounded_x = Round (scaled_x)
    moved_x = Add (rounded_x, zero_f32)
    clipped_x = Clip (moved_x, low_f32, high_f32)
    codes_x = Cast <to = {INT8}> (clipped_x)
    bytes_w = Cast <to = {INT8}> (codes)
    codes_w = Transpose <perm = [1, 0]> (bytes_w)
    acc = MatMulInteger (codes_x, codes_w)
    whole = Add (acc, offsets)
    whole_f32 = Cast <to = {FLOAT}> (whole)
    by_step = Mul (whole_f32, step)
    scales_f32 = Cast <to = {FLOAT}> (scales)
    by_output = Mul (by_step, scales_f32)
    bias_f32 = Cast <to = {FLOAT}> (bias)
    y = Add (by_output, bias_f32)""",
)
