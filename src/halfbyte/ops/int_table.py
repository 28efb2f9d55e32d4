"""IntTable: any function of one code, y = entries[x + 128]; 256 entries, int8 to int8.

Of SiLU, entries[i + 128] = clip(rint(silu(i · s_x) / s_y), ±127).
"""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from halfbyte.ops.coded import Coded
from halfbyte.ops.integer_leaf import Flow, IntegerLeaf
from halfbyte.ops.onnx_text import number, wide
from halfbyte.ops.operator import FrozenOperator, Operator
from halfbyte.quant.ranges import Range
from halfbyte.quant.reference import Int8Array

MIDDLE = 128  # a table begins with the entry of code -128


def reference(x: Int8Array, entries: Int8Array) -> Int8Array:
    """The formula in numpy."""
    return entries[x.astype(np.int64) + MIDDLE]


def compute(x: Tensor, entries: Tensor) -> Tensor:
    """The formula in torch, on int64."""
    return entries.to(x.device)[x + MIDDLE]


class CodeTable(IntegerLeaf):
    """y = function(x), one entry for each code; backward as of the function."""

    def __init__(self, function: Callable[[Tensor], Tensor]):
        super().__init__()
        self.function = function
        self.out_range = Range()

    def entries(self) -> Tensor:
        """(256,) int64."""
        x = torch.arange(-MIDDLE, MIDDLE).double() * self.scale_of("x")
        scaled = torch.round(self.function(x) / self.out_range.scale)
        return scaled.clamp(-127, 127).to(torch.int64)

    def forward(self, x: Flow) -> Coded:
        """x: any shape."""
        taken = self.take("x", x)
        real = self.function(taken.value)
        return self.finish(real, lambda: compute(taken.codes, self.entries()), self.out_range)

    def freeze(self) -> FrozenOperator:
        """One node over the table."""
        constants = {"entries": self.entries().to(torch.int8)}
        before = self.frozen_operands("x")
        return FrozenOperator(OPERATOR, torch.int8, constants, before=before)


OPERATOR = Operator(
    "IntTable",
    "x, entries",
    constants={"entries": "int8"},
    body=number("middle", MIDDLE)
    + wide("x")
    + """
    index = Add (x_wide, middle)
    y = Gather <axis = 0> (entries, index)""",
)
