"""Arithmetic that several operators on integers share: multipliers in fixed point, rounding shifts.

In numpy, written to be read, and on torch tensors of int64; both give the same bits.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Int16Array = NDArray[np.int16]
Int64Array = NDArray[np.int64]
DoubleArray = NDArray[np.float64]

LARGEST_SHIFT = 62


def fixed_point(values: DoubleArray, largest_shift: int = LARGEST_SHIFT) -> tuple[Int64Array, int]:
    """Real multipliers as integers over one power of two: value is about m · 2^-shift.

    shift = 31 - e with max|value| = f · 2^e, 1/2 <= f < 1, clipped to 1..largest_shift;
    m = clip(rint(value · 2^shift), ±(2^31 - 1)).

    Args:
        values: (...) float64, finite.
        largest_shift: at most 62.

    >>> m, shift = fixed_point(np.array([0.75, -0.001]))
    >>> m.tolist(), shift
    ([1610612736, -2147484], 31)
    """
    exponent = int(np.frexp(np.abs(values).max(initial=0.0))[1])
    shift = min(max(31 - exponent, 1), largest_shift)
    largest = np.iinfo(np.int32).max
    return np.clip(np.rint(np.ldexp(values, shift)), -largest, largest).astype(np.int64), shift


def round_shift(product: Int64Array, shift: int) -> Int64Array:
    """product / 2^shift to the nearest integer, ties to even.

    >>> round_shift(np.int64([5, 6, 7, -6, -7, 2]), 2).tolist()
    [1, 2, 2, -2, -2, 0]
    """
    floor = product >> shift
    twice = (product - (floor << shift)) << 1  # of the rest, 0 .. 2^(shift + 1) - 2
    up = (twice > 1 << shift) | ((twice == 1 << shift) & (floor & 1 == 1))
    return floor + up


def fixed_point_of(values: Tensor, largest_shift: int = LARGEST_SHIFT) -> tuple[Tensor, int]:
    """`fixed_point` of a tensor of float64; int64 and one shift."""
    multipliers, shift = fixed_point(values.detach().cpu().numpy(), largest_shift)
    return torch.from_numpy(multipliers).to(values.device), shift


def fixed_point_number(value: float, largest_shift: int = LARGEST_SHIFT) -> tuple[int, int]:
    """`fixed_point` of one number."""
    multiplier, shift = fixed_point(np.array(value, np.float64), largest_shift)
    return int(multiplier), shift


def round_shift_of(product: Tensor, shift: int | Tensor) -> Tensor:
    """`round_shift` of a tensor of int64; a tensor of shifts is positive.

    Half of 2^shift is added, less one where the quotient is even, in one buffer: a pass over
    memory costs more than what it computes.
    """
    if isinstance(shift, int) and shift == 0:
        return product
    less_than_half = (1 << (shift - 1)) - 1
    return (product >> shift).bitwise_and_(1).add_(product).add_(less_than_half) >> shift
