"""One layer of a streaming Conformer.

Source: Gulati et al. 2020 (arXiv:2005.08100), with WeNet's causal convolution and layer norm
in place of batch norm (Zhang et al. 2020, arXiv:2012.05481).
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from halfbyte.blocks.attention import RelativeAttention
from halfbyte.blocks.dropout import Dropout
from halfbyte.blocks.norm import LayerNorm
from halfbyte.quant.layers import StoredParameters


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


class FeedForward(nn.Module):
    """y = W2 · silu(W1 · x)."""

    def __init__(self, width: int, inner: int, dropout: float):
        super().__init__()
        self.expand = nn.Linear(width, inner)
        self.contract = nn.Linear(inner, width)
        self.dropout = Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        """x: (B, T, D) float32 -> (B, T, D) float32."""
        return self.contract(self.dropout(nn.functional.silu(self.expand(x))))


class CausalDepthwise(nn.Conv1d, StoredParameters):
    """Depthwise convolution over time that sees only the past."""

    bias: Tensor

    def __init__(self, width: int, kernel: int):
        super().__init__(width, width, kernel, groups=width)

    def forward(self, x: Tensor) -> Tensor:
        """x: (B, kernel - 1 + T, D) float32 -> (B, T, D) float32."""
        y = nn.functional.conv1d(
            x.transpose(1, 2), self.stored(self.weight), self.stored(self.bias), groups=self.groups
        )
        return y.transpose(1, 2)


class Convolution(nn.Module):
    """Pointwise, GLU, causal depthwise, layer norm, SiLU, pointwise.

    Before the first frame stand frames of zeros, as in WeNet; after the first pointwise
    convolution and its GLU they are the constant that `padding` returns.
    """

    def __init__(self, width: int, kernel: int):
        super().__init__()
        self.pointwise_in = nn.Linear(width, 2 * width)
        self.depthwise = CausalDepthwise(width, kernel)
        self.norm = LayerNorm(width)
        self.pointwise_out = nn.Linear(width, width)

    def padding(self) -> Tensor:
        """The frame that stands before the first one; (1, 1, D) float32."""
        zeros = self.pointwise_in.weight.new_zeros(1, 1, self.pointwise_in.in_features)
        return nn.functional.glu(self.pointwise_in(zeros).float(), dim=-1)

    def forward(self, x: Tensor, past: Tensor) -> tuple[Tensor, Tensor]:
        """x: (B, C, D), past: (B, kernel - 1, D) -> (B, C, D) and the next past, all float32."""
        gated = nn.functional.glu(self.pointwise_in(x).float(), dim=-1)
        frames = torch.cat([past, gated], dim=1)
        y = nn.functional.silu(self.norm(self.depthwise(frames)))
        return self.pointwise_out(y), frames[:, frames.shape[1] - past.shape[1] :]


class ConformerLayer(nn.Module):
    """Half feed-forward, attention, convolution, half feed-forward, layer norm."""

    def __init__(self, config: EncoderConfig):
        super().__init__()
        width = config.width
        self.norm_macaron = LayerNorm(width)
        self.feed_forward_macaron = FeedForward(width, config.feed_forward, config.dropout)
        self.norm_attention = LayerNorm(width)
        self.attention = RelativeAttention(
            width, config.num_heads, config.dropout, config.relative_shift
        )
        self.norm_convolution = LayerNorm(width)
        self.convolution = Convolution(width, config.kernel)
        self.norm_feed_forward = LayerNorm(width)
        self.feed_forward = FeedForward(width, config.feed_forward, config.dropout)
        self.norm_final = LayerNorm(width)
        self.dropout = Dropout(config.dropout)

    def forward(
        self, x: Tensor, past: "LayerState", positions: Tensor, bias: Tensor
    ) -> tuple[Tensor, "LayerState"]:
        """One chunk through the layer.

        Args:
            x: (B, C, D) float32.
            past: what the layer keeps of earlier chunks.
            positions: see RelativeAttention.
            bias: broadcastable to (B, H, C, L + C) float32.

        Returns:
            (B, C, D) float32 and the state, its keys and values grown by the chunk.
        """
        x = x + 0.5 * self.dropout(self.feed_forward_macaron(self.norm_macaron(x)))
        attended, key, value = self.attention(
            self.norm_attention(x), past.key, past.value, positions, bias
        )
        x = x + self.dropout(attended)
        convolved, frames = self.convolution(self.norm_convolution(x), past.frames)
        x = x + self.dropout(convolved)
        x = x + 0.5 * self.dropout(self.feed_forward(self.norm_feed_forward(x)))
        return self.norm_final(x), LayerState(key, value, frames)


class LayerState:
    """What one layer keeps of earlier chunks.

    key, value: (B, H, L, D/H) float32; frames: (B, kernel - 1, D) float32.
    """

    def __init__(self, key: Tensor, value: Tensor, frames: Tensor):
        self.key, self.value, self.frames = key, value, frames

    def keep(self, left_context: int) -> "LayerState":
        """The state with only the newest `left_context` keys and values."""
        drop = self.key.shape[2] - left_context
        return LayerState(self.key[:, :, drop:], self.value[:, :, drop:], self.frames)
