"""What flows between the layers of an integer-only model: integers and their range.

Values are float32 that stand for integers: code times scale of the range that the layer before
wrote. So gradients pass (straight through the rounding), and layers that only move elements need no
twin. A linear layer passes its sums on; the layer behind it rounds them, for that layer knows what
becomes of them: a residual is added, negative ones are cut off, they are two halves of a gate.
Ranges are symmetric, so there is no zero point beside the scale.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from halfbyte.ops.fixed_point import fixed_point_of, round_shift_of
from halfbyte.quant.ranges import Range


class Coded(NamedTuple):
    """Values (...) float32 that are codes times the scale of their range.

    Elements are moved as those of a tensor are; the range stays. Until the range has started, the
    values are real ones.
    """

    value: Tensor
    range: Range

    @property
    def shape(self) -> torch.Size:
        """Of the values."""
        return self.value.shape

    @property
    def codes(self) -> Tensor:
        """(...) int64."""
        return self.range.codes(self.value)

    def flatten(self, start: int) -> "Coded":
        """As Tensor.flatten."""
        return Coded(self.value.flatten(start), self.range)

    def unsqueeze(self, axis: int) -> "Coded":
        """As Tensor.unsqueeze."""
        return Coded(self.value.unsqueeze(axis), self.range)


class Product(Protocol):
    """A layer whose sums are rounded by the layer behind it."""

    training: bool

    def real(self, product: "Sums") -> Tensor:
        """(..., N) float32: the layer in float, on its rounded weights."""

    def sums(self, product: "Sums") -> tuple[Tensor, Tensor, Tensor]:
        """(..., N) float32, (..., N) int32, (N,) float64: what the sums stand for, sums, unit."""

    def unit(self) -> Tensor:
        """(N,) float64: real value of 1 in the sums."""


class Sums(NamedTuple):
    """A product that waits for its rounding: of codes, weight (N, K) and bias (N,) float32."""

    layer: Product
    x: Coded
    weight: Tensor
    bias: Tensor | None


@dataclass(frozen=True)
class Rounding:
    """How the sums of a layer become codes: clip(residual + round(acc · M / 2^n), low, high).

    Attributes:
        layer: whose sums.
        ranges: of the codes, or of equal parts of them side by side; observed here.
        low: least code: 0 is a ReLU. -high if not given.
        factor: what the sums are multiplied by; it is in M.
    """

    layer: Product
    ranges: tuple[Range, ...]
    low: int | None = None
    factor: float = 1.0

    @property
    def limits(self) -> tuple[int, int]:
        """Least and largest code."""
        largest = self.ranges[0].largest
        return -largest if self.low is None else self.low, largest

    def multipliers(self, unit: Tensor) -> tuple[Tensor, int]:
        """M (N,) int64 and n: of s_x · s_w · factor / s_y; unit is s_x · s_w."""
        part = len(unit) // len(self.ranges)
        scales = [unit.new_full((part,), each.scale) for each in self.ranges]
        return fixed_point_of(unit * self.factor / torch.cat(scales))

    def values(self, x: Sums, residual: Coded | None = None) -> Tensor:
        """(..., N) float32 that stand for codes; the residual is in the same range."""
        if self.ranges[0].passes_real(self.layer.training):
            return self._observed(self.layer.real(x), residual)
        real, acc, unit = self.layer.sums(x)
        real = self._observed(real, residual)
        before = None if residual is None else self.ranges[0].codes(residual.value)
        codes = requantize(acc, *self.multipliers(unit), self.limits, before)
        parts = zip(self.ranges, self._parts(real), self._parts(codes), strict=True)
        return torch.cat([each.settle(part, whole) for each, part, whole in parts], dim=-1)

    def _observed(self, real: Tensor, residual: Coded | None) -> Tensor:
        real = real * self.factor
        if self.low == 0:
            real = torch.relu(real)
        if residual is not None:
            real = real + residual.value
        if self.layer.training:
            for each, part in zip(self.ranges, self._parts(real), strict=True):
                each.observe(part)
        return real

    def _parts(self, x: Tensor) -> Sequence[Tensor]:
        return x.chunk(len(self.ranges), -1)


def requantize(
    acc: Tensor, multipliers: Tensor, shift: int, limits: tuple[int, int], residual: Tensor | None
) -> Tensor:
    """clip(residual + round(acc · multiplier / 2^shift)) on int64; residual may be left out."""
    rounded = round_shift_of(acc.to(torch.int64) * multipliers, shift)
    return (rounded if residual is None else residual + rounded).clamp(*limits)
