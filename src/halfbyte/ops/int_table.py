"""IntTable: any function of one code, y = entries[x + 128]; 256 entries, int8 to int8."""

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from halfbyte.ops.integer_leaf import IntegerLeaf
from halfbyte.ops.onnx_text import number, wide
from halfbyte.ops.operator import FrozenOperator, Operator
from halfbyte.quant.reference import Int8Array

MIDDLE = 128  # a table begins with the entry of code -128


def reference(x: Int8Array, entries: Int8Array) -> Int8Array:
    """The formula in numpy."""
    return entries[x.astype(np.int64) + MIDDLE]


def compute(x: Tensor, entries: Tensor) -> Tensor:
    """The formula in torch, on int64."""
    return entries.to(x.device)[x + MIDDLE]


class CodeTable(IntegerLeaf):
    """y = silu(x), one entry for each code."""

    def entries(self) -> Tensor:
        """(256,) int64: clip(rint(silu(i · s_x) / s_y), ±127)."""
        x = torch.arange(-MIDDLE, MIDDLE).double() * self.source.scale
        return torch.round(functional.silu(x) / self.out.scale).clamp(-127, 127).to(torch.int64)

    def forward(self, x: Tensor) -> Tensor:
        """x: any shape, float32 -> the same."""
        return self._finish(
            functional.silu(x), lambda: compute(self.source.codes(x), self.entries())
        )

    def freeze(self) -> FrozenOperator:
        """One node over the table."""
        return FrozenOperator(OPERATOR, torch.int8, {"entries": self.entries().to(torch.int8)})


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
