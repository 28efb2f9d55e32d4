"""Layers of integer-only models that only round the sums of the layer before."""

from torch import nn

from halfbyte.ops.coded import Coded, Rounding, Sums
from halfbyte.ops.operator import FrozenOperator
from halfbyte.ops.requantize import freeze_rounding
from halfbyte.quant.ranges import Range


class IntegerRounding(nn.Module):
    """y = factor · x, in a range of its own.

    Args:
        num_bits: 8, or 16 where a residual stream begins.
        low: least code: 0 is a ReLU.
        factor: what sums are multiplied by.
    """

    def __init__(self, num_bits: int = 8, low: int | None = None, factor: float = 1.0):
        super().__init__()
        self.out_range = Range(num_bits)
        self.low, self.factor = low, factor
        self._rounding: Rounding | None = None

    def forward(self, x: Sums) -> Coded:
        """x: (..., N) -> (..., N)."""
        if self._rounding is None:
            self._rounding = Rounding(x.layer, (self.out_range,), self.low, self.factor)
        return Coded(self._rounding.values(x), self.out_range)

    def freeze(self) -> FrozenOperator:
        """One node."""
        assert self._rounding is not None
        return freeze_rounding(self._rounding)


class IntegerResidual(nn.Module):
    """y = residual + factor · x, in the range of the residual."""

    def __init__(self, factor: float):
        super().__init__()
        self.factor = factor
        self._rounding: Rounding | None = None

    def forward(self, residual: Coded, x: Sums) -> Coded:
        """residual and x: (..., N) -> (..., N)."""
        if self._rounding is None:
            self._rounding = Rounding(x.layer, (residual.range,), factor=self.factor)
        return Coded(self._rounding.values(x, residual), residual.range)

    def freeze(self) -> nn.Module:
        """One node."""
        assert self._rounding is not None
        return _FrozenResidual(freeze_rounding(self._rounding, adds=True))


class _FrozenResidual(nn.Module):
    def __init__(self, node: FrozenOperator):
        super().__init__()
        self.node = node

    def forward(self, residual: object, x: object) -> object:
        return self.node(x, residual)
