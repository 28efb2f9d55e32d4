"""What the layers of integer-only models have in common."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from halfbyte.ops.coded import Coded, Rounding, Sums
from halfbyte.ops.requantize import freeze_rounding
from halfbyte.quant.ranges import Range

Flow = Coded | Sums | Tensor


class IntegerLeaf(nn.Module):
    """A layer on integers: takes operands with their ranges, gives codes of a range of its own.

    Ranges are not told but flow: the first forward pass (make_integer's) notes from where each
    operand comes, and makes a range for an operand that comes as sums.
    """

    def __init__(self) -> None:
        super().__init__()
        self.sources: dict[str, tuple[Range, ...]] = {}
        self.roundings: dict[str, Rounding] = {}

    def scale_of(self, operand: str) -> float:
        """Real value of code 1 of an operand."""
        return self.sources[operand][0].scale

    def take(self, operand: str, x: Flow, num_bits: int = 8) -> Coded:
        """An operand as codes; a plain tensor is of zeros, which are code 0 in any range."""
        if isinstance(x, Tensor):
            known = self.sources.get(operand)
            return Coded(x, Range() if known is None else known[0])
        if isinstance(x, Sums):
            (made,) = self._own_ranges(operand, x, (operand,), num_bits)
            x = Coded(self.roundings[operand].values(x), made)
        self.sources[operand] = (x.range,)
        return x

    def take_halves(self, operand: str, x: Flow, names: tuple[str, str]) -> Tensor:
        """Values of an operand whose halves, side by side, have ranges of their own."""
        if isinstance(x, Sums):
            self.sources[operand] = self._own_ranges(operand, x, names, 8)
            return self.roundings[operand].values(x)
        x = self.take(operand, x)
        self.sources[operand] = (x.range, x.range)
        return x.value

    def _own_ranges(
        self, operand: str, x: Sums, names: tuple[str, ...], num_bits: int
    ) -> tuple[Range, ...]:
        if operand not in self.roundings:
            for name in names:
                self.add_module(f"{name}_range", Range(num_bits))
            made = tuple(self.get_submodule(f"{name}_range") for name in names)
            self.roundings[operand] = Rounding(x.layer, made)  # type: ignore[arg-type]
        return self.roundings[operand].ranges

    def finish(self, real: Tensor, codes: Callable[[], Tensor], out: Range) -> Coded:
        """Observe the float result, and round to codes where the range has started."""
        if self.training:
            out.observe(real)
        if out.passes_real(self.training):
            return Coded(real, out)
        device = real.device.type
        with torch.no_grad(), torch.autocast(device, enabled=False):
            whole = codes()
        return Coded(out.settle(real, whole), out)

    def frozen_operands(self, *operands: str) -> list[nn.Module]:
        """What rounds operands that come as sums; for others, the identity."""
        roundings = [self.roundings.get(name) for name in operands]
        return [nn.Identity() if each is None else freeze_rounding(each) for each in roundings]
