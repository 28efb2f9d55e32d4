"""Batch norm behind a linear layer, folded into the weights that training quantises.

    y = g · (W x + b - m) / sqrt(v + eps) + a = W' x + b'
    W' = W · g / sqrt(v + eps),   b' = (b - m) · g / sqrt(v + eps) + a

with gain g, shift a, mean m and variance v of each output. A batch norm left beside a quantised
layer would have to be folded after training, and then the codes of W' are not those that training
computed with. So the native layer folds first and quantises W', in every step: what is exported is
what was trained, and the device knows no batch norm.

m and v are moving averages: each training step measures the float product W x + b, moves them, and
folds with where they then stand, as the device will. The gradient is that of a batch norm over the
batch, whose statistics depend on W and x too: with the averages taken for constants, nothing would
hold the size of W, and training swings.

Source: Jacob et al. 2018 (arXiv:1712.05877), section 3.2, eq. 14. Difference: the value is that of
the moving averages from the first step on, so that no step computes with other codes.
"""

import torch
from torch import Tensor, nn

from halfbyte.ops.native_linear import NativeLinear
from halfbyte.quant.carry import carry
from halfbyte.quant.formats import Format
from halfbyte.quant.quantizer import Quantizer


class NormedLinear(nn.Linear):
    """A linear layer and the batch norm behind it; `make_native` folds the two.

    Args:
        momentum: share of a new batch in the moving averages.
    """

    def __init__(
        self, in_features: int, out_features: int, bias: bool = True, momentum: float = 0.1
    ):
        super().__init__(in_features, out_features, bias)
        self.norm = nn.BatchNorm1d(out_features, momentum=momentum)

    def forward(self, x: Tensor) -> Tensor:
        """x: (..., K) float32 -> (..., N) float32."""
        y = super().forward(x)
        normed: Tensor = self.norm(y.reshape(-1, y.shape[-1]))
        return normed.reshape(y.shape)


class NativeNormedLinear(NativeLinear):
    """A native linear layer whose quantised weight is the folded one."""

    def __init__(
        self,
        layer: NormedLinear,
        number: Format,
        weight_quantizer: Quantizer | None = None,
        activation_quantizer: Quantizer | None = None,
    ):
        k, n, has_bias = layer.in_features, layer.out_features, layer.bias is not None
        super().__init__(k, n, number, has_bias, weight_quantizer, activation_quantizer)
        self.norm = nn.BatchNorm1d(n, momentum=layer.norm.momentum)

    def forward(self, x: Tensor) -> Tensor:
        """x: (..., K) float32 -> (..., N) float32."""
        if not self.training:
            return super().forward(x)
        y = nn.functional.linear(x.reshape(-1, x.shape[-1]), self.weight, self.bias)
        with torch.no_grad():
            self.norm(y)  # only moves the averages
        weight, bias = self._folded(y.mean(dim=0), y.var(dim=0, correction=0))
        weight = carry(weight, self.folded_weight().detach())
        return self._product(x, weight, carry(bias, self.folded_bias().detach()))

    def _folded(self, mean: Tensor | None, variance: Tensor | None) -> tuple[Tensor, Tensor]:
        assert mean is not None
        assert variance is not None
        factor = self.norm.weight * torch.rsqrt(variance + self.norm.eps)
        bias = -mean if self.bias is None else self.bias - mean
        return self.weight * factor[:, None], bias * factor + self.norm.bias

    def folded_weight(self) -> Tensor:
        return self._folded(self.norm.running_mean, self.norm.running_var)[0]

    def folded_bias(self) -> Tensor:
        return self._folded(self.norm.running_mean, self.norm.running_var)[1]
