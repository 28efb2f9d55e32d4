"""IntGlu: a gated linear unit of codes, y = clip(round(a · gates[b + 128] · M / 2^n), ±127).

x (..., 2D) int8 holds a, then b; gates[i] = min(rint(2^15 · sigmoid(i · s_b)), 2^15 - 1), int16,
for the codes -128 .. 127 of b; M / 2^n = s_a · 2^-15 / s_y in fixed point; y (..., D) int8.
"""

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from halfbyte.ops.coded import Coded
from halfbyte.ops.fixed_point import Int16Array, fixed_point_number, round_shift, round_shift_of
from halfbyte.ops.int_table import MIDDLE
from halfbyte.ops.integer_leaf import Flow, IntegerLeaf
from halfbyte.ops.onnx_text import (
    INT8,
    LIMITS_8,
    NUMBERS,
    attribute,
    clip,
    number,
    round_quotient,
    wide,
)
from halfbyte.ops.operator import FrozenOperator, Operator
from halfbyte.quant.ranges import Range
from halfbyte.quant.reference import Int8Array


def reference(x: Int8Array, gates: Int16Array, multiplier: int, shift: int) -> Int8Array:
    """The formula in numpy; gates (256,)."""
    value, gate = np.split(x.astype(np.int64), 2, axis=-1)
    product = value * gates.astype(np.int64)[gate + MIDDLE] * multiplier
    return np.clip(round_shift(product, shift), -127, 127).astype(np.int8)


def compute(value: Tensor, gate: Tensor, gates: Tensor, multiplier: int, shift: int) -> Tensor:
    """The formula in torch, on int64."""
    product = value * gates[gate + MIDDLE] * multiplier
    return round_shift_of(product, shift).clamp(-127, 127)


class IntegerGlu(IntegerLeaf):
    """y = a · sigmoid(b) on integers; backward as of the float function."""

    def __init__(self) -> None:
        super().__init__()
        self.out_range = Range()

    def constants(self) -> tuple[Tensor, int, int]:
        """Table (256,) int64, multiplier, shift."""
        content, gate = self.sources["x"]
        b = torch.arange(-MIDDLE, MIDDLE).double() * gate.scale
        table = torch.round(2.0**15 * torch.sigmoid(b)).clamp_max(2.0**15 - 1).to(torch.int64)
        return table, *fixed_point_number(content.scale / self.out_range.scale * 2.0**-15)

    def forward(self, x: Flow) -> Coded:
        """x: (..., 2D) -> (..., D)."""
        values = self.take_halves("x", x, ("content", "gate"))

        def codes() -> Tensor:
            value, gate = (
                source.codes(half)
                for source, half in zip(self.sources["x"], values.chunk(2, -1), strict=True)
            )
            table, multiplier, shift = self.constants()
            return compute(value, gate, table.to(values.device), multiplier, shift)

        return self.finish(functional.glu(values, -1), codes, self.out_range)

    def freeze(self) -> FrozenOperator:
        """One node over the table."""
        table, multiplier, shift = self.constants()
        return FrozenOperator(
            OPERATOR,
            torch.int8,
            {"gates": table.to(torch.int16)},
            {"multiplier": multiplier, "divisor": 1 << shift},
            lambda shape: (*shape[:-1], shape[-1] // 2),
            self.frozen_operands("x"),
        )


OPERATOR = Operator(
    "IntGlu",
    "x, gates",
    attributes="multiplier, divisor",
    constants={"gates": "int16"},
    body=NUMBERS
    + LIMITS_8
    + attribute("multiplier")
    + attribute("divisor")
    + number("middle", MIDDLE)
    + wide("x", "gates")
    + """
    value, gate = Split <axis = -1, num_outputs = 2> (x_wide)
    index = Add (gate, middle)
    opened = Gather <axis = 0> (gates_wide, index)
    gated = Mul (value, opened)
    product = Mul (gated, multiplier_attr)"""
    + round_quotient("product", "divisor_attr", "rounded")
    + clip("rounded", "low", "high", INT8),
)
