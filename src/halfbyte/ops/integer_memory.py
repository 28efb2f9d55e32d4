"""What the layers of an integer-only model keep from one chunk to the next, as int8 codes."""

import torch
from torch import Tensor, nn

from halfbyte.ops.coded import Coded
from halfbyte.ops.integer_leaf import Flow, IntegerLeaf
from halfbyte.quant.ranges import Range


class IntegerMemory(IntegerLeaf):
    """Past steps and those of a chunk side by side, (B, T, D); states are int8."""

    def _range(self) -> Range:
        known = self.sources.get("x")
        return Range() if known is None else known[0]  # the first pass begins with a state

    def empty(self, batch: int, length: int, like: Tensor) -> Coded:
        """A past of code 0; (B, length, D), like (..., D)."""
        return Coded(like.new_zeros(batch, length, like.shape[-1]), self._range())

    def repeated(self, frame: Coded, batch: int, length: int) -> Coded:
        """A past of one frame (1, 1, D), again and again; (B, length, D)."""
        value = frame.value.detach()
        return Coded(value.expand(batch, length, value.shape[-1]), frame.range)

    def restored(self, state: Tensor) -> Coded:
        """What a state (B, L, D) int8 stands for."""
        known = self._range()
        return Coded(known.numbers(state) if known.is_wired else state.float(), known)

    def stored(self, kept: Coded) -> Tensor:
        """(B, L, D) int8."""
        codes = kept.codes if kept.range.is_wired else kept.value
        return codes.to(torch.int8)

    def forward(self, past: Coded, x: Flow) -> tuple[Coded, Coded]:
        """past (B, L, D), x (B, C, D) -> (B, L + C, D), and all but its first C steps."""
        taken = self.take("x", x)
        joined = torch.cat([past.value, taken.value], dim=1)
        kept = joined[:, taken.shape[1] :]
        return Coded(joined, taken.range), Coded(kept, taken.range)

    def freeze(self) -> nn.Module:
        """The same on int8, which states are."""
        return _FrozenMemory(*self.frozen_operands("x"))


class _FrozenMemory(nn.Module):
    def __init__(self, before: nn.Module):
        super().__init__()
        self.before = before

    def restored(self, state: Tensor) -> Tensor:
        return state

    def stored(self, kept: Tensor) -> Tensor:
        return kept

    def forward(self, past: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
        joined = torch.cat([past, self.before(x)], dim=1)
        return joined, joined[:, x.shape[1] :]
