"""IntLayerNorm, IntLayerNormWide: layer norm in fixed point, from int16 to int8 or int16.

S = Σ x, v = D · Σ x² - S² + epsilon (D² times the variance), (f, h) = inverse_root(v),
z = round((D · x - S) · f / 2^(45 - h)), the normalised element in units of 2^-16,
y = clip(round((z · weight + bias) / 2^n), ±127 or ±32767).

x (..., D) int16, D <= 32768; weight (D,) int32, bias (D,) int64; epsilon 1 .. 2^60; `divisor` 2^n.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from halfbyte.ops.coded import Coded
from halfbyte.ops.fixed_point import (
    Int16Array,
    Int64Array,
    fixed_point_of,
    round_shift,
    round_shift_of,
)
from halfbyte.ops.integer_leaf import Flow, IntegerLeaf
from halfbyte.ops.onnx_text import (
    INT8,
    INT16,
    INT64,
    LIMITS_8,
    LIMITS_16,
    NUMBERS,
    at_most,
    attribute,
    clip,
    number,
    round_quotient,
    wide,
)
from halfbyte.ops.operator import FrozenOperator, Operator
from halfbyte.quant.ranges import Range
from halfbyte.quant.reference import Int32Array

ROOT_STEPS = 6
NORM_BITS = 16  # fractional bits of a normalised element
_LARGEST_OFFSET = 2.0**60


def inverse_root(v: int) -> tuple[int, int]:
    """(f, h) with f · 2^h / 2^61 about 1 / sqrt(v).

    h is the least number for which u = v · 4^h >= 2^60; r = 2^31 and six times
    r = (r + u / r) / 2, both divisions to the integer below; f = min(2^61 / r, 2^31 - 1).

    Args:
        v: 1 .. 2^61.

    >>> f, h = inverse_root(4)
    >>> round(f * 2**h / 2**61, 8)
    0.5
    """
    h = 0
    while v < 1 << 60:
        v, h = v * 4, h + 1
    r = 1 << 31
    for _ in range(ROOT_STEPS):
        r = (r + v // r) // 2
    return min((1 << 61) // r, (1 << 31) - 1), h


def reference(
    x: Int16Array, weight: Int32Array, bias: Int64Array, epsilon: int, shift: int, high: int = 127
) -> NDArray[np.integer]:
    """The formula in numpy; high is 127 for int8, 32767 for int16."""
    rows = x.astype(np.int64).reshape(-1, x.shape[-1])
    d = rows.shape[1]
    out = np.empty(rows.shape, np.int8 if high == 127 else np.int16)
    for row, values in enumerate(rows):
        total = values.sum()
        f, h = inverse_root(int(d * (values * values).sum() - total * total + epsilon))
        z = round_shift((d * values - total) * f, 61 - NORM_BITS - h)
        out[row] = np.clip(round_shift(z * weight.astype(np.int64) + bias, shift), -high, high)
    return out.reshape(x.shape)


def compute(x: Tensor, weight: Tensor, bias: Tensor, epsilon: int, shift: int, high: int) -> Tensor:
    """The formula in torch, on int64."""
    d = x.shape[-1]
    total = x.sum(-1, keepdim=True)
    v = d * (x * x).sum(-1, keepdim=True) - total * total + epsilon
    h = sum((v < 1 << (60 - 2 * i)).to(torch.int64) for i in range(30))
    u = v << (2 * h)
    root = torch.full_like(u, 1 << 31)
    for _ in range(ROOT_STEPS):
        root = (root + u // root) >> 1
    factor = ((1 << 61) // root).clamp_max((1 << 31) - 1)
    z = round_shift_of((d * x - total) * factor, 61 - NORM_BITS - h)
    return round_shift_of(z * weight + bias, shift).clamp(-high, high)


class IntegerLayerNorm(IntegerLeaf):
    """Layer norm in fixed point; backward as of the float function.

    Args:
        norm: whose parameters it takes over.
        num_bits: of the output, 8 or 16.
    """

    def __init__(self, norm: nn.LayerNorm, num_bits: int = 8):
        super().__init__()
        self.weight, self.bias, self.eps = norm.weight, norm.bias, norm.eps
        self.out_range = Range(num_bits)

    def constants(self) -> tuple[Tensor, Tensor, int, int]:
        """weight (D,), bias (D,) int64, epsilon, shift."""
        scale = self.out_range.scale
        unit = 2.0**-NORM_BITS
        weight, shift = fixed_point_of(self.weight.detach().double() / scale * unit)
        bias = torch.round(self.bias.detach().double() / scale * 2.0**shift)
        bias = bias.clamp(-_LARGEST_OFFSET, _LARGEST_OFFSET).to(torch.int64)
        width = self.weight.shape[0]
        epsilon = round(self.eps * width**2 / self.scale_of("x") ** 2)
        return weight, bias, min(max(epsilon, 1), 1 << 60), shift

    def forward(self, x: Flow) -> Coded:
        """x: (..., D) -> (..., D)."""
        taken = self.take("x", x, num_bits=16)
        shape = self.weight.shape
        real = functional.layer_norm(taken.value.float(), shape, self.weight, self.bias, self.eps)

        def codes() -> Tensor:
            return compute(taken.codes, *self.constants(), self.out_range.largest)

        return self.finish(real, codes, self.out_range)

    def freeze(self) -> FrozenOperator:
        """One node over weight and bias."""
        weight, bias, epsilon, shift = self.constants()
        is_wide = self.out_range.largest > 127
        return FrozenOperator(
            OPERATOR_WIDE if is_wide else OPERATOR,
            torch.int16 if is_wide else torch.int8,
            {"weight": weight.to(torch.int32), "bias": bias},
            {"epsilon": epsilon, "divisor": 1 << shift},
            before=self.frozen_operands("x"),
        )


_POWERS_OF_FOUR = ", ".join(str(4**h) for h in range(31))
_BOUNDS = ", ".join(str(1 << (60 - 2 * h)) for h in range(30))
_DIVISORS = ", ".join(str(1 << (45 - h)) for h in range(31))
_NORMALISED = (
    NUMBERS
    + attribute("epsilon")
    + attribute("divisor")
    + wide("x", "weight")
    + number("first_root", 1 << 31)
    + number("numerator", 1 << 61)
    + number("largest_factor", (1 << 31) - 1)
    + f"""
    last = Constant <value_ints = [-1]> ()
    bounds = Constant <value_ints = [{_BOUNDS}]> ()
    powers = Constant <value_ints = [{_POWERS_OF_FOUR}]> ()
    divisors = Constant <value_ints = [{_DIVISORS}]> ()
    shape = Shape (x)
    minus_one = Constant <value_int = -1> ()
    width = Gather <axis = 0> (shape, minus_one)
    total = ReduceSum <keepdims = 1> (x_wide, last)
    squared = Mul (x_wide, x_wide)
    squares = ReduceSum <keepdims = 1> (squared, last)
    by_width = Mul (squares, width)
    total_squared = Mul (total, total)
    spread = Sub (by_width, total_squared)
    v = Add (spread, epsilon_attr)
    is_below = Less (v, bounds)
    below = Cast <to = {INT64}> (is_below)
    h = ReduceSum <keepdims = 1> (below, last)
    power = Gather <axis = 0> (powers, h)
    u = Mul (v, power)
    quotient_0 = Div (u, first_root)
    sum_0 = Add (quotient_0, first_root)
    root_1 = Div (sum_0, two)"""
    + "".join(
        f"""
    quotient_{i} = Div (u, root_{i})
    sum_{i} = Add (quotient_{i}, root_{i})
    root_{i + 1} = Div (sum_{i}, two)"""
        for i in range(1, ROOT_STEPS)
    )
    + f"""
    inverse = Div (numerator, root_{ROOT_STEPS})"""
    + at_most("inverse", "largest_factor", "factor")
    + """
    scaled = Mul (x_wide, width)
    centred = Sub (scaled, total)
    normal_product = Mul (centred, factor)
    normal_divisor = Gather <axis = 0> (divisors, h)"""
    + round_quotient("normal_product", "normal_divisor", "z")
    + """
    weighted = Mul (z, weight_wide)
    product = Add (weighted, bias)"""
    + round_quotient("product", "divisor_attr", "rounded")
)


def _operator(name: str, limits: str, to: int) -> Operator:
    return Operator(
        name,
        "x, weight, bias",
        attributes="epsilon, divisor",
        constants={"weight": "int32", "bias": "int64"},
        body=_NORMALISED + limits + clip("rounded", "low", "high", to),
    )


OPERATOR = _operator("IntLayerNorm", LIMITS_8, INT8)
OPERATOR_WIDE = _operator("IntLayerNormWide", LIMITS_16, INT16)
