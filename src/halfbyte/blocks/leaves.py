"""Leaves without parameters: where a mode of arithmetic is exchanged, not the architecture.

Each has an `integer` twin; `make_integer` (integer.py) puts it in its place.
"""

import torch
from torch import Tensor, nn
from torch.onnx import is_in_onnx_export

from halfbyte.blocks.dropout import Dropout
from halfbyte.errors import ConfigError
from halfbyte.ops import glu, silu
from halfbyte.ops.dequantize import IntegerNumbers
from halfbyte.ops.int_glu import IntegerGlu
from halfbyte.ops.int_patches import IntegerPatches
from halfbyte.ops.int_table import CodeTable
from halfbyte.ops.integer_memory import IntegerMemory
from halfbyte.ops.integer_residual import IntegerResidual, IntegerRounding
from halfbyte.ops.patches import patches

STREAM_BITS = 16  # of the residual stream


class Silu(nn.Module):
    """y = x · sigmoid(x)."""

    def forward(self, x: Tensor) -> Tensor:
        """x: any shape, float32 -> the same."""
        return silu.emit(x) if is_in_onnx_export() else nn.functional.silu(x)

    def integer(self) -> nn.Module:
        """A table, one entry for each code."""
        return CodeTable(nn.functional.silu)


class Relu(nn.Module):
    """y = max(x, 0)."""

    def forward(self, x: Tensor) -> Tensor:
        """x: any shape, float32 -> the same."""
        return torch.relu(x)

    def integer(self) -> nn.Module:
        """Sums rounded to codes from 0 on."""
        return IntegerRounding(low=0)


class Glu(nn.Module):
    """y = a · sigmoid(b), x = (a, b) along the last axis."""

    def forward(self, x: Tensor) -> Tensor:
        """x: (..., 2D) -> (..., D) float32."""
        return glu.emit(x) if is_in_onnx_export() else nn.functional.glu(x.float(), dim=-1)

    def integer(self) -> nn.Module:
        """A table for the gate."""
        return IntegerGlu()


class Patches(nn.Module):
    """3 x 3 patches in steps of 2."""

    def forward(self, x: Tensor) -> Tensor:
        """x: (B, T, F, C) -> (B, (T - 1) // 2, (F - 1) // 2, 9·C)."""
        return patches(x)

    def integer(self) -> nn.Module:
        """Codes, moved."""
        return IntegerPatches()


class Stream(nn.Module):
    """Where a residual stream begins: y = dropout(factor · x)."""

    def __init__(self, factor: float, dropout: float):
        super().__init__()
        self.factor = factor
        self.dropout = Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        """x: (..., D) -> (..., D) float32."""
        return self.dropout(x.float() * self.factor)

    def integer(self) -> nn.Module:
        """Sums rounded to the range of the stream."""
        return IntegerRounding(STREAM_BITS, factor=self.factor)


class Residual(nn.Module):
    """y = x + factor · dropout(branch)."""

    def __init__(self, dropout: float, factor: float = 1.0):
        super().__init__()
        self.factor = factor
        self.dropout = Dropout(dropout)

    def forward(self, x: Tensor, branch: Tensor) -> Tensor:
        """x, branch: (..., D) -> (..., D) float32."""
        dropped = self.dropout(branch)
        return x + (dropped if self.factor == 1 else self.factor * dropped)

    def integer(self) -> nn.Module:
        """Sums rounded and added in the range of the stream."""
        return IntegerResidual(self.factor)


class Numbers(nn.Module):
    """Where integer-only models go back to float32; of others, the identity."""

    def forward(self, x: Tensor) -> Tensor:
        """x: any shape -> float32."""
        return x.float()

    def integer(self) -> nn.Module:
        """Codes to numbers."""
        return IntegerNumbers()


class LayerDrop(nn.Module):
    """In training, an utterance skips a layer with probability p."""

    def __init__(self, probability: float):
        super().__init__()
        self.probability = probability

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        """Before and after the layer, (B, T, D) float32 -> one of both for each utterance."""
        if not self.training or self.probability == 0:
            return y
        keep = torch.rand(x.shape[0], 1, 1, device=x.device) >= self.probability
        return torch.where(keep, y, x)

    def integer(self) -> nn.Module:
        """Itself, where nothing is dropped."""
        if self.probability:
            raise ConfigError("integer-only models need model.encoder.layer_drop=0")
        return self


class Memory(nn.Module):
    """Past steps and those of a chunk side by side, (B, T, D)."""

    def empty(self, batch: int, length: int, like: Tensor) -> Tensor:
        """A past of zeros; (B, length, D), like (..., D)."""
        return like.new_zeros(batch, length, like.shape[-1])

    def repeated(self, frame: Tensor, batch: int, length: int) -> Tensor:
        """A past of one frame (1, 1, D), again and again; (B, length, D)."""
        return frame.expand(batch, length, frame.shape[-1])

    def restored(self, state: Tensor) -> Tensor:
        """What a state stands for."""
        return state

    def stored(self, kept: Tensor) -> Tensor:
        """What is kept, as a state."""
        return kept

    def forward(self, past: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
        """past (B, L, D), x (B, C, D) -> (B, L + C, D), and all but its first C steps."""
        joined = torch.cat([past, x], dim=1)
        return joined, joined[:, x.shape[1] :]

    def integer(self) -> nn.Module:
        """The same on codes."""
        return IntegerMemory()


class HeadMemory(Memory):
    """Past steps and those of a chunk side by side, head by head: (B, H, T, D/H)."""

    def __init__(self, num_heads: int):
        super().__init__()
        self.num_heads = num_heads

    def empty(self, batch: int, length: int, like: Tensor) -> Tensor:
        """A past of zeros; (B, H, length, D/H), like (..., D)."""
        return like.new_zeros(batch, self.num_heads, length, like.shape[-1] // self.num_heads)

    def forward(self, past: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
        """past (B, H, L, D/H), x (B, C, D) -> (B, H, L + C, D/H), and all but its first C steps."""
        joined = torch.cat([past, split_heads(x, self.num_heads)], dim=2)
        return joined, joined[:, :, x.shape[1] :]


def split_heads(x: Tensor, num_heads: int) -> Tensor:
    """(B, T, D) -> (B, H, T, D/H)."""
    return x.unflatten(-1, (num_heads, x.shape[-1] // num_heads)).transpose(1, 2)
