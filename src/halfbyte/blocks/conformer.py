"""One layer of a streaming Conformer.

Source: Gulati et al. 2020 (arXiv:2005.08100), with WeNet's causal convolution and layer norm
in place of batch norm (Zhang et al. 2020, arXiv:2012.05481).
"""

from dataclasses import dataclass
from typing import NamedTuple

from torch import Tensor, nn
from torch.onnx import is_in_onnx_export

from halfbyte.blocks.attention import RelativeAttention
from halfbyte.blocks.dropout import Dropout
from halfbyte.blocks.leaves import Glu, Memory, Residual, Silu
from halfbyte.blocks.norm import LayerNorm
from halfbyte.ops import chunk_conv
from halfbyte.ops.folding import FoldsNorm
from halfbyte.ops.int_depthwise import IntegerDepthwise
from halfbyte.quant.stored import StoredParameters


@dataclass
class EncoderConfig:
    """Conformer encoder.

    WeNet's published unified Conformer is `width=256, num_heads=4, feed_forward=2048,
    num_layers=12, kernel=15, subsampling=4, subsampling_channels=256, relative_shift=False`.
    """

    width: int = 192
    num_heads: int = 4
    num_layers: int = 4
    feed_forward: int = 576  # inner width of both half-step feed-forward modules
    kernel: int = 15  # frames that the causal depthwise convolution sees
    subsampling: int = 8  # feature frames per encoder step: 4 or 8
    subsampling_channels: int = 32
    relative_shift: bool = True  # False: WeNet's variant, positions of keys instead of distances
    left_context: int = 48  # encoder steps that a chunk sees to its left
    dropout: float = 0.1
    layer_drop: float = 0.0  # chance that an utterance skips a layer in training
    kind: str = "conformer"


class FeedForward(nn.Module):
    """y = W2 · silu(W1 · x)."""

    def __init__(self, width: int, inner: int, dropout: float):
        super().__init__()
        self.expand = nn.Linear(width, inner)
        self.silu = Silu()
        self.contract = nn.Linear(inner, width)
        self.dropout = Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        """x: (B, T, D) float32 -> (B, T, D) float32."""
        return self.contract(self.dropout(self.silu(self.expand(x))))


class CausalDepthwise(nn.Conv1d, FoldsNorm, StoredParameters):
    """Depthwise convolution over time that sees only the past.

    Args:
        has_norm: whether a batch norm stands behind it; native models fold it (ops/folding.py).
    """

    bias: Tensor

    def __init__(self, width: int, kernel: int, has_norm: bool = False):
        super().__init__(width, width, kernel, groups=width)
        self.norm = nn.BatchNorm1d(width) if has_norm else None
        self.memory = Memory()

    def forward(self, past: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:  # type: ignore[override]
        """past (B, kernel - 1, D), x (B, C, D) -> (B, C, D) and the next past, all float32."""
        if is_in_onnx_export():
            return chunk_conv.emit(x, past, self.stored(self.weight), self.stored(self.bias))
        frames, kept = self.memory(past, x)

        def filtered(weight: Tensor, bias: Tensor | None) -> Tensor:
            y = nn.functional.conv1d(frames.transpose(1, 2), weight, bias, groups=self.groups)
            return y.transpose(1, 2)

        if not self.stores_half:
            return self.normed(filtered(self.weight, self.bias)), kept
        weight, bias = self.folded(filtered)
        assert bias is not None
        return filtered(self.stored(weight), self.stored(bias)), kept

    def integer(self) -> nn.Module:
        """Weights in 8 bits."""
        return IntegerDepthwise(self)


class Convolution(nn.Module):
    """Pointwise, GLU, causal depthwise, layer norm, SiLU, pointwise.

    Before the first frame stand frames of zeros, as in WeNet; after the first pointwise
    convolution and its GLU they are the constant that `padding` returns.
    """

    def __init__(self, width: int, kernel: int):
        super().__init__()
        self.pointwise_in = nn.Linear(width, 2 * width)
        self.kernel = kernel
        self.glu = Glu()
        self.depthwise = CausalDepthwise(width, kernel)
        self.norm = LayerNorm(width)
        self.silu = Silu()
        self.pointwise_out = nn.Linear(width, width)

    def padding(self) -> Tensor:
        """The frame that stands before the first one; (1, 1, D) float32."""
        zeros = self.pointwise_in.weight.new_zeros(1, 1, self.pointwise_in.in_features)
        return self.glu(self.pointwise_in(zeros))

    def start(self, batch: int) -> Tensor:
        """The frames before the first one; (B, kernel - 1, D) float32."""
        return self.depthwise.memory.repeated(self.padding(), batch, self.kernel - 1)

    def forward(self, x: Tensor, past: Tensor) -> tuple[Tensor, Tensor]:
        """x: (B, C, D), past: (B, kernel - 1, D) -> (B, C, D) and the next past, all float32."""
        filtered, kept = self.depthwise(past, self.glu(self.pointwise_in(x)))
        return self.pointwise_out(self.silu(self.norm(filtered))), kept


class ConformerLayer(nn.Module):
    """Half feed-forward, attention, convolution, half feed-forward, layer norm."""

    def __init__(self, config: EncoderConfig):
        super().__init__()
        width, dropout = config.width, config.dropout
        self.norm_macaron = LayerNorm(width)
        self.feed_forward_macaron = FeedForward(width, config.feed_forward, dropout)
        self.add_macaron = Residual(dropout, 0.5)
        self.norm_attention = LayerNorm(width)
        self.attention = RelativeAttention(width, config.num_heads, dropout, config.relative_shift)
        self.add_attention = Residual(dropout)
        self.norm_convolution = LayerNorm(width)
        self.convolution = Convolution(width, config.kernel)
        self.add_convolution = Residual(dropout)
        self.norm_feed_forward = LayerNorm(width)
        self.feed_forward = FeedForward(width, config.feed_forward, dropout)
        self.add_feed_forward = Residual(dropout, 0.5)
        self.norm_final = LayerNorm(width, begins_stream=True)

    def start(self, batch: int, left_context: int) -> "LayerMemory":
        """What stands before the first chunk: `left_context` steps of keys and values."""
        key, value = self.attention.start(batch, left_context)
        return LayerMemory(key, value, self.convolution.start(batch))

    def restored(self, state: "LayerMemory") -> "LayerMemory":
        """What a state stands for."""
        parts = zip(self._memories(), state, strict=True)
        return LayerMemory(*(memory.restored(part) for memory, part in parts))

    def stored(self, kept: "LayerMemory") -> "LayerMemory":
        """What is kept, as a state."""
        parts = zip(self._memories(), kept, strict=True)
        return LayerMemory(*(memory.stored(part) for memory, part in parts))

    def _memories(self) -> tuple[Memory, Memory, Memory]:
        attend = self.attention.attend
        return attend.keys, attend.values, self.convolution.depthwise.memory

    def forward(
        self, x: Tensor, past: "LayerMemory", positions: Tensor, mask: Tensor
    ) -> tuple[Tensor, "LayerMemory"]:
        """One chunk through the layer.

        Args:
            x: (B, C, D) float32.
            past: what the layer keeps of earlier chunks.
            positions: see RelativeAttention.
            mask: see Mask.

        Returns:
            (B, C, D) float32 and what the layer keeps for the next chunk.
        """
        x = self.add_macaron(x, self.feed_forward_macaron(self.norm_macaron(x)))
        attended, key, value = self.attention(
            self.norm_attention(x), (past.key, past.value), positions, mask
        )
        x = self.add_attention(x, attended)
        convolved, frames = self.convolution(self.norm_convolution(x), past.frames)
        x = self.add_convolution(x, convolved)
        x = self.add_feed_forward(x, self.feed_forward(self.norm_feed_forward(x)))
        return self.norm_final(x), LayerMemory(key, value, frames)


class LayerMemory(NamedTuple):
    """What one layer keeps of earlier chunks.

    key, value: (B, H, L, D/H) float32; frames: (B, kernel - 1, D) float32. In integer-only models
    (B, L, D) and (B, kernel - 1, D), int8 as states.
    """

    key: Tensor
    value: Tensor
    frames: Tensor
