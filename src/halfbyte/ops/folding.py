"""Batch norm behind a layer, folded into the weights that training quantises.

    y = g · (W x + b - m) / sqrt(v + eps) + a = W' x + b'
    W' = W · g / sqrt(v + eps),   b' = (b - m) · g / sqrt(v + eps) + a

with gain g, shift a, mean m and variance v of each output; of a depthwise convolution, of each
channel. A batch norm left beside a quantised
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

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from halfbyte.quant.carry import carry

Product = Callable[[Tensor, Tensor | None], Tensor]  # of weight and bias, (..., N) float32


class FoldsNorm(nn.Module):
    """A layer that folds the batch norm behind it, if it has one, into weight and bias.

    Outputs are the first axis of the weight.
    """

    weight: Tensor
    bias: Any  # a parameter or None; torch types it in two ways
    norm: nn.BatchNorm1d | None

    def folded_weight(self) -> Tensor:
        """The weight, times what the norm multiplies each output by."""
        return self._folded()[0]

    def folded_bias(self) -> Tensor | None:
        """What is added to each output, before it is rounded."""
        return self._folded()[1]

    def unfolded_weight(self, folded: Tensor) -> Tensor:
        """The weight that `folded_weight` makes this of; an output of gain 0 keeps its own."""
        if self.norm is None:
            return folded
        assert self.norm.running_var is not None
        factor = self._by_output(self._factor(self.norm, self.norm.running_var))
        return torch.where(factor == 0, self.weight, folded / factor)

    def folded(self, product: Product) -> tuple[Tensor, Tensor | None]:
        """Weight and bias of this pass; in training, the norm takes note of the float product."""
        if self.norm is None or not self.norm.training:
            return self._folded()
        y = product(self.weight, self.bias)
        y = y.reshape(-1, y.shape[-1])
        with torch.no_grad():
            self.norm(y)  # only moves the averages
        weight, bias = self._fold(self.norm, y.mean(dim=0), y.var(dim=0, correction=0))
        value, shift = self._folded()
        assert shift is not None
        return carry(weight, value.detach()), carry(bias, shift.detach())

    def normed(self, y: Tensor) -> Tensor:
        """The norm itself, as a float layer has it behind its product; y: (..., N) float32."""
        if self.norm is None:
            return y
        rows: Tensor = self.norm(y.reshape(-1, y.shape[-1]))
        return rows.reshape(y.shape)

    def freeze(self) -> nn.Module:
        """Itself, the norm folded in for good."""
        if self.norm is not None:
            weight, bias = self._folded()
            assert bias is not None
            self.weight, self.bias, self.norm = nn.Parameter(weight), nn.Parameter(bias), None
        return self

    def _folded(self) -> tuple[Tensor, Tensor | None]:
        if self.norm is None:
            return self.weight, self.bias
        mean, variance = self.norm.running_mean, self.norm.running_var
        assert mean is not None
        assert variance is not None
        return self._fold(self.norm, mean, variance)

    def _fold(self, norm: nn.BatchNorm1d, mean: Tensor, variance: Tensor) -> tuple[Tensor, Tensor]:
        factor = self._factor(norm, variance)
        bias = -mean if self.bias is None else self.bias - mean
        return self.weight * self._by_output(factor), bias * factor + norm.bias

    def _factor(self, norm: nn.BatchNorm1d, variance: Tensor) -> Tensor:
        return norm.weight * torch.rsqrt(variance + norm.eps)

    def _by_output(self, factor: Tensor) -> Tensor:
        return factor.reshape(-1, *(1 for _ in self.weight.shape[1:]))


class NormedLinear(nn.Linear, FoldsNorm):
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
        return self.normed(super().forward(x))


def keep_averages(model: nn.Module) -> None:
    """Let the norms of a model in training keep their averages, until its next `train()`."""
    for module in model.modules():
        if isinstance(module, nn.BatchNorm1d):
            module.eval()
