"""Affine quantisation of activations over a range that follows what training sees.

Source: Jacob et al. 2018, "Quantization and Training of Neural Networks for Efficient
Integer-Arithmetic-Only Inference" (arXiv:1712.05877).

    a, b = moving averages of min(x, 0) and max(x, 0)
    S = (b - a) / (2^bits - 1),   Z = rint(-a / S), so that 0.0 has a code of its own
    q = clip(rint(x / S) + Z, 0, 2^bits - 1),   x̂ = S · (q - Z)
    gradient: 1 for x inside the nudged range S · (0 - Z) .. S · (2^bits - 1 - Z), else 0

Differences: codes are held as int8, q - 2^(bits-1), which moves Z alike; activations are quantised
from the first step on, where theirs wait for 50 000 steps and more: the first batch sets the range.
"""

import torch
from torch import Tensor

from halfbyte.quant.quantizer import TENSOR, Quantized, Quantizer

MOMENTUM = 0.99  # of the ranges; the paper has "close to 1"
_SMALLEST_RANGE = 2.0**-100


class MovingAverageAffine(Quantizer):
    """Activations with one scale and zero point per tensor, from averaged minima and maxima.

    >>> q = MovingAverageAffine(8)
    >>> q.set_range(-1.0, 4.1)
    >>> quantized = q.quantize(torch.tensor([[0.0, -1.0, 4.1, 9.0]]))
    >>> quantized.codes.tolist(), quantized.zero_points.tolist()
    ([[-78, -128, 127, 127]], [[-78]])
    """

    low: Tensor
    high: Tensor
    is_started: Tensor

    def __init__(self, num_bits: int):
        super().__init__(num_bits, TENSOR)
        self.register_buffer("low", torch.zeros(()))
        self.register_buffer("high", torch.ones(()))
        self.register_buffer("is_started", torch.zeros(()))

    def set_range(self, low: float, high: float) -> None:
        """Set the range; it is widened to hold zero."""
        self.low.fill_(min(low, 0.0))
        self.high.fill_(max(high, 0.0))
        self.is_started.fill_(1.0)

    def observe(self, x: Tensor) -> None:
        """Move the range towards what a batch holds; the first batch sets it."""
        low, high = x.detach().aminmax()
        low, high = low.float().clamp_max(0.0), high.float().clamp_min(0.0)
        if not self.is_started:
            self.set_range(float(low), float(high))
            return
        self.low.lerp_(low, 1 - MOMENTUM)
        self.high.lerp_(high, 1 - MOMENTUM)

    def scale_and_zero(self) -> tuple[Tensor, Tensor]:
        """S and Z in the paper's codes, 0 .. 2^bits - 1; float32 scalars."""
        steps = 2**self.num_bits - 1
        scale = ((self.high - self.low) / steps).clamp_min(_SMALLEST_RANGE)
        return scale, torch.round(-self.low / scale).clamp_(0, steps)

    def quantize(self, x: Tensor) -> Quantized:
        scale, zero = self.scale_and_zero()
        half = 2 ** (self.num_bits - 1)
        codes = (torch.round(x / scale) + zero).clamp_(0, 2 * half - 1) - half
        zeros = (zero - half).to(torch.int32).reshape(1, 1)
        return Quantized(codes.to(torch.int8), scale.reshape(1, 1), zeros)

    def gradient_path(self, x: Tensor) -> Tensor:
        scale, zero = self.scale_and_zero()
        low, high = -zero * scale, (2**self.num_bits - 1 - zero) * scale
        return torch.clamp(x, low, high)
