"""One Conformer layer of an integer-only model, made of a native one; parameters keep their names.

The residual stream is int16 in one range a layer, all else int8. There is no dropout: it would take
values off their codes. The norm inside the convolution is a layer norm, so no batch norm is folded.
"""

import torch
from torch import Tensor, nn

from halfbyte.blocks.attention import RelativeAttention
from halfbyte.blocks.conformer import ConformerLayer, Convolution, FeedForward
from halfbyte.ops.int_glu import IntegerGlu
from halfbyte.ops.int_table import CodeTable
from halfbyte.ops.integer_attention import IntegerAttend
from halfbyte.ops.integer_layers import (
    IntegerDepthwise,
    IntegerLayerNorm,
)
from halfbyte.ops.integer_linear_layer import IntegerLinear
from halfbyte.quant.layers import NativeLinear
from halfbyte.quant.ranges import Range

STREAM_BITS = 16


def integer_linear(
    layer: nn.Module, source: Range, *ranges: Range, factor: float = 1.0
) -> IntegerLinear:
    """The integer-only twin of a native layer."""
    assert isinstance(layer, NativeLinear)  # make_integer has looked at the formats
    return IntegerLinear(layer, source, ranges, factor=factor)


class StateCodes(nn.Module):
    """Between values and the int8 codes in which a state holds them."""

    def __init__(self, held: Range):
        super().__init__()
        self._held = [held]

    def forward(self, x: Tensor) -> Tensor:
        """int8 to values, float32 to int8; any shape."""
        if x.dtype == torch.int8:
            return self._held[0].numbers(x)
        return self._held[0].codes(x).to(torch.int8)


class IntegerFeedForward(nn.Module):
    """residual + W2 · silu(W1 · x) / 2."""

    def __init__(self, module: FeedForward, source: Range, stream: Range):
        super().__init__()
        self.expand_range, self.silu_range = Range(), Range()
        self.expand = integer_linear(module.expand, source, self.expand_range)
        self.silu = CodeTable(self.expand_range, self.silu_range)
        self.contract = integer_linear(module.contract, self.silu_range, stream, factor=0.5)

    def forward(self, x: Tensor, residual: Tensor) -> Tensor:
        """x and residual: (B, T, D) float32 -> (B, T, D) float32."""
        return self.contract(self.silu(self.expand(x)), residual)


class IntegerAttention(nn.Module):
    """residual + relative attention; keys and values lie as (B, K, D)."""

    def __init__(self, module: RelativeAttention, source: Range, distances: Range, stream: Range):
        super().__init__()
        self.query_range, self.key_range, self.value_range = Range(), Range(), Range()
        self.position_range, self.out_range = Range(), Range()
        self.query = integer_linear(module.query, source, self.query_range)
        self.key = integer_linear(module.key, source, self.key_range)
        self.value = integer_linear(module.value, source, self.value_range)
        self.position = integer_linear(module.position, distances, self.position_range)
        self.content_bias, self.position_bias = module.content_bias, module.position_bias
        self.attend = IntegerAttend(
            (self.content_bias, self.position_bias),
            (self.query_range, self.key_range, self.value_range, self.position_range),
            self.out_range,
        )
        self.out = integer_linear(module.out, self.out_range, stream)
        self.key_codes, self.value_codes = StateCodes(self.key_range), StateCodes(self.value_range)

    def forward(
        self,
        x: Tensor,
        residual: Tensor,
        past: tuple[Tensor, Tensor],
        distances: Tensor,
        visible: Tensor,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """As RelativeAttention; past keys and values (B, L, D), visible as IntegerAttend."""
        key = torch.cat([past[0], self.key(x)], dim=1)
        value = torch.cat([past[1], self.value(x)], dim=1)
        attended = self.attend(self.query(x), key, value, self.position(distances), visible)
        return self.out(attended, residual), key, value


class IntegerConvolution(nn.Module):
    """residual + pointwise, GLU, causal depthwise, layer norm, SiLU, pointwise."""

    def __init__(self, module: Convolution, source: Range, stream: Range):
        super().__init__()
        self.content_range, self.gate_range, self.glu_range = Range(), Range(), Range()
        self.depthwise_range = Range(STREAM_BITS)
        self.norm_range, self.silu_range = Range(), Range()
        self.pointwise_in = integer_linear(
            module.pointwise_in, source, self.content_range, self.gate_range
        )
        self.glu = IntegerGlu(self.content_range, self.gate_range, self.glu_range)
        self.depthwise = IntegerDepthwise(module.depthwise, self.glu_range, self.depthwise_range)
        self.norm = IntegerLayerNorm(module.norm, self.depthwise_range, self.norm_range)
        self.silu = CodeTable(self.norm_range, self.silu_range)
        self.pointwise_out = integer_linear(module.pointwise_out, self.silu_range, stream)
        self.frame_codes = StateCodes(self.glu_range)

    def padding(self) -> Tensor:
        """The frame that stands before the first one; (1, 1, D) float32."""
        zeros = self.pointwise_in.weight.new_zeros(1, 1, self.pointwise_in.in_features)
        return self.glu(self.pointwise_in(zeros)).detach()

    def forward(self, x: Tensor, residual: Tensor, past: Tensor) -> tuple[Tensor, Tensor]:
        """As Convolution."""
        frames = torch.cat([past, self.glu(self.pointwise_in(x))], dim=1)
        y = self.pointwise_out(self.silu(self.norm(self.depthwise(frames))), residual)
        return y, frames[:, frames.shape[1] - past.shape[1] :]


class IntegerConformerLayer(nn.Module):
    """Half feed-forward, attention, convolution, half feed-forward, layer norm."""

    def __init__(self, layer: ConformerLayer, distances: Range):
        super().__init__()
        stream = self.stream_range = Range(STREAM_BITS)
        self.macaron_norm_range, self.attention_norm_range = Range(), Range()
        self.convolution_norm_range, self.feed_forward_norm_range = Range(), Range()
        self.norm_macaron = IntegerLayerNorm(layer.norm_macaron, stream, self.macaron_norm_range)
        self.feed_forward_macaron = IntegerFeedForward(
            layer.feed_forward_macaron, self.macaron_norm_range, stream
        )
        self.norm_attention = IntegerLayerNorm(
            layer.norm_attention, stream, self.attention_norm_range
        )
        self.attention = IntegerAttention(
            layer.attention, self.attention_norm_range, distances, stream
        )
        self.norm_convolution = IntegerLayerNorm(
            layer.norm_convolution, stream, self.convolution_norm_range
        )
        self.convolution = IntegerConvolution(
            layer.convolution, self.convolution_norm_range, stream
        )
        self.norm_feed_forward = IntegerLayerNorm(
            layer.norm_feed_forward, stream, self.feed_forward_norm_range
        )
        self.feed_forward = IntegerFeedForward(
            layer.feed_forward, self.feed_forward_norm_range, stream
        )
        self._final = layer.norm_final

    def end_in(self, following: Range) -> None:
        """The last norm writes in the range of the layer that follows."""
        self.norm_final = IntegerLayerNorm(self._final, self.stream_range, following)
        del self._final

    def forward(
        self, x: Tensor, past: list[Tensor], distances: Tensor, visible: Tensor
    ) -> tuple[Tensor, list[Tensor]]:
        """One chunk; past is keys, values (B, L, D) and frames, which come back grown."""
        x = self.feed_forward_macaron(self.norm_macaron(x), x)
        x, key, value = self.attention(
            self.norm_attention(x), x, (past[0], past[1]), distances, visible
        )
        x, frames = self.convolution(self.norm_convolution(x), x, past[2])
        x = self.feed_forward(self.norm_feed_forward(x), x)
        return self.norm_final(x), [key, value, frames]
