"""Layer norm whose parameters the model file stores in fp16."""

from torch import Tensor, nn

from halfbyte.quant.layers import StoredParameters


class LayerNorm(nn.LayerNorm, StoredParameters):
    """y = (x - mean) / sqrt(variance + 1e-5) · weight + bias over the last axis."""

    def forward(self, x: Tensor) -> Tensor:
        """x: (..., D) float32 -> (..., D) float32."""
        return nn.functional.layer_norm(
            x.float(),
            self.normalized_shape,
            self.stored(self.weight),
            self.stored(self.bias),
            self.eps,
        )
