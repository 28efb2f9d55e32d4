"""Requantize, RequantizeWide, RequantizeAdd: sums to codes.

y = clip(residual + round(acc · M / 2^n), low, high); acc (..., N), M (N,) int32, `divisor` 2^n.
Requantize gives int8, low..127, and low = 0 is a ReLU; the others give int16, ±32767, and
RequantizeAdd adds a residual (..., N) int16. |acc · M| <= 2^62.
"""

import numpy as np
import torch

from halfbyte.ops.coded import Rounding
from halfbyte.ops.fixed_point import Int16Array, Int64Array, round_shift
from halfbyte.ops.onnx_text import (
    INT8,
    INT16,
    LIMITS_16,
    NUMBERS,
    attribute,
    clip,
    number,
    round_quotient,
    wide,
)
from halfbyte.ops.operator import FrozenOperator, Operator
from halfbyte.quant.reference import Int8Array, Int32Array


def reference(acc: Int32Array, multipliers: Int32Array, shift: int, low: int = -127) -> Int8Array:
    """Requantize in numpy.

    >>> reference(np.int32([[100, -100]]), np.int32([1 << 30, 1 << 30]), 30, low=0).tolist()
    [[100, 0]]
    """
    return np.clip(_rescaled(acc, multipliers, shift), low, 127).astype(np.int8)


def reference_wide(
    acc: Int32Array, multipliers: Int32Array, shift: int, residual: Int16Array | None = None
) -> Int16Array:
    """RequantizeWide and RequantizeAdd in numpy."""
    before = 0 if residual is None else residual.astype(np.int64)
    return np.clip(before + _rescaled(acc, multipliers, shift), -32767, 32767).astype(np.int16)


def _rescaled(acc: Int32Array, multipliers: Int32Array, shift: int) -> Int64Array:
    return round_shift(acc.astype(np.int64) * multipliers.astype(np.int64), shift)


def freeze_rounding(rounding: Rounding, adds: bool = False) -> FrozenOperator:
    """The node of a rounding; one that adds takes the residual as its second operand."""
    multipliers, shift = rounding.multipliers(rounding.layer.unit())
    constants = {"multipliers": multipliers.to(torch.int32)}
    low, high = rounding.limits
    if high == 127:
        attributes = {"divisor": 1 << shift, "low": low}
        return FrozenOperator(REQUANTIZE, torch.int8, constants, attributes)
    operator = REQUANTIZE_ADD if adds else REQUANTIZE_WIDE
    return FrozenOperator(operator, torch.int16, constants, {"divisor": 1 << shift})


_RESCALED = (
    NUMBERS
    + attribute("divisor")
    + wide("acc", "multipliers")
    + """
    product = Mul (acc_wide, multipliers_wide)"""
    + round_quotient("product", "divisor_attr", "rounded")
)
_CONSTANTS = {"multipliers": "int32"}

REQUANTIZE = Operator(
    "Requantize",
    "acc, multipliers",
    attributes="divisor, low",
    constants=_CONSTANTS,
    body=_RESCALED
    + attribute("low")
    + number("high", 127)
    + clip("rounded", "low_attr", "high", INT8),
)
REQUANTIZE_WIDE = Operator(
    "RequantizeWide",
    "acc, multipliers",
    attributes="divisor",
    constants=_CONSTANTS,
    body=_RESCALED + LIMITS_16 + clip("rounded", "low", "high", INT16),
)
REQUANTIZE_ADD = Operator(
    "RequantizeAdd",
    "acc, multipliers, residual",
    attributes="divisor",
    constants=_CONSTANTS,
    body=_RESCALED
    + LIMITS_16
    + wide("residual")
    + "\n    sum = Add (residual_wide, rounded)"
    + clip("sum", "low", "high", INT16),
)
