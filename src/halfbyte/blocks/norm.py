"""Layer norm whose parameters the model file stores in fp16."""

from torch import Tensor, nn

from halfbyte.blocks.leaves import STREAM_BITS
from halfbyte.ops.int_layer_norm import IntegerLayerNorm
from halfbyte.quant.stored import StoredParameters


class LayerNorm(nn.LayerNorm, StoredParameters):
    """y = (x - mean) / sqrt(variance + 1e-5) · weight + bias over the last axis.

    Args:
        width: D.
        begins_stream: whether the output is a residual stream, which has 16 bits in integers.
    """

    def __init__(self, width: int, begins_stream: bool = False):
        super().__init__(width)
        self.begins_stream = begins_stream

    def forward(self, x: Tensor) -> Tensor:
        """x: (..., D) float32 -> (..., D) float32."""
        return nn.functional.layer_norm(
            x.float(),
            self.normalized_shape,
            self.stored(self.weight),
            self.stored(self.bias),
            self.eps,
        )

    def integer(self) -> nn.Module:
        """Layer norm in fixed point."""
        return IntegerLayerNorm(self, STREAM_BITS if self.begins_stream else 8)
