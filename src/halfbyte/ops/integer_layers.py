"""Torch layers of integer-only models beside the linear one.

Values between layers are float32 that stand for integers: code times scale of the range that the
layer before wrote. Forward computes the integers of docs/integer-spec.md; backward takes the
gradient of the same function in float (straight through the rounding). Ranges that are not started
leave values as they are: so the first batch calibrates.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from halfbyte.ops import integer_arithmetic as arithmetic
from halfbyte.ops import integer_reference as reference
from halfbyte.ops.integer_leaf import IntegerLeaf
from halfbyte.ops.integer_linear_layer import LARGEST_BIAS
from halfbyte.quant.absmax import quantize_weight
from halfbyte.quant.ranges import Range

_LARGEST_OFFSET = 2.0**60


class FeatureCodes(nn.Module):
    """Global mean and variance normalisation, and codes: clip(rint((x - mean) · factor), ±127)."""

    mean: Tensor
    inverse_deviation: Tensor

    def __init__(self, mean: Tensor, inverse_deviation: Tensor):
        super().__init__()
        self.register_buffer("mean", mean)
        self.register_buffer("inverse_deviation", inverse_deviation)
        self.out_range = Range()

    def factor(self) -> Tensor:
        """(F,) float32: 1 / (deviation · scale)."""
        return (self.inverse_deviation.double() / self.out_range.scale).float()

    def forward(self, features: Tensor) -> Tensor:
        """features: (B, T, F) float32 -> (B, T, F) float32."""
        centred = features.float() - self.mean
        if self.training:
            self.out_range.observe(centred * self.inverse_deviation)
            if not self.out_range.is_started:
                return centred * self.inverse_deviation
        codes = torch.round(centred * self.factor()).clamp(-127, 127)
        return self.out_range.numbers(codes)


class IntegerLayerNorm(IntegerLeaf):
    """Layer norm in fixed point, from int16 to int8 or int16."""

    def __init__(self, norm: nn.LayerNorm, source: Range, out: Range):
        super().__init__(source, out)
        self.weight, self.bias, self.eps = norm.weight, norm.bias, norm.eps

    def constants(self) -> tuple[Tensor, Tensor, int, int]:
        """weight (D,), bias (D,) int64, epsilon, shift."""
        scale = self.out.scale
        unit = 2.0**-reference.NORM_BITS
        weight, shift = arithmetic.fixed_point(self.weight.detach().double() / scale * unit)
        bias = torch.round(self.bias.detach().double() / scale * 2.0**shift)
        bias = bias.clamp(-_LARGEST_OFFSET, _LARGEST_OFFSET).to(torch.int64)
        width = self.weight.shape[0]
        epsilon = round(self.eps * width**2 / self.source.scale**2)
        return weight, bias, min(max(epsilon, 1), 1 << 60), shift

    def forward(self, x: Tensor) -> Tensor:
        """x: (..., D) float32 -> (..., D) float32."""
        real = functional.layer_norm(x.float(), self.weight.shape, self.weight, self.bias, self.eps)

        def codes() -> Tensor:
            constants = self.constants()
            return arithmetic.layer_norm(self.source.codes(x), *constants, self.out.largest)

        return self._finish(real, codes)


class IntegerDepthwise(IntegerLeaf):
    """Depthwise convolution over time, weights in 8 bits per channel, from int8 to int16."""

    def __init__(self, convolution: nn.Conv1d, source: Range, out: Range):
        super().__init__(source, out)
        assert convolution.bias is not None
        self.weight, self.bias = convolution.weight, convolution.bias

    def constants(self) -> tuple[Tensor, Tensor, Tensor, int]:
        """codes (taps, D), bias (D,), multipliers (D,) int64, shift."""
        codes, scales = quantize_weight(self.weight.detach()[:, 0], 8)
        unit = scales.double() * self.source.scale
        bias = torch.round(self.bias.detach().double() / unit).clamp(-LARGEST_BIAS, LARGEST_BIAS)
        multipliers, shift = arithmetic.fixed_point(unit / self.out.scale)
        return codes.t().to(torch.int64), bias.to(torch.int64), multipliers, shift

    def forward(self, x: Tensor) -> Tensor:
        """x: (B, T + taps - 1, D) float32 -> (B, T, D) float32."""
        real = functional.conv1d(
            x.transpose(1, 2), self.weight, self.bias, groups=self.weight.shape[0]
        )

        def codes() -> Tensor:
            weight, bias, multipliers, shift = self.constants()
            acc = arithmetic.depthwise(self.source.codes(x), weight, bias)
            limits = -self.out.largest, self.out.largest
            return arithmetic.requantize(acc, multipliers, shift, limits, None)

        return self._finish(real.transpose(1, 2).float(), codes)
