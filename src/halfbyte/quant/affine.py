"""Affine codes of activations: one scale and one zero point for a whole tensor.

    S = (b - a) / (2^bits - 1),   Z = rint(-a / S), so that 0.0 has a code of its own
    q = clip(rint(x / S) + Z, 0, 2^bits - 1),   x̂ = S · (q - Z)
    gradient: 1 for x inside the nudged range S · (0 - Z) .. S · (2^bits - 1 - Z), else 0

How a and b are chosen is a method's affair (moving_average.py, learned_clip.py).

Source: Jacob et al. 2018, "Quantization and Training of Neural Networks for Efficient
Integer-Arithmetic-Only Inference" (arXiv:1712.05877). Difference: codes are held as int8,
q - 2^(bits-1), which moves Z alike.
"""

import torch
from torch import Tensor

from halfbyte.quant.quantizer import TENSOR, Quantized, Quantizer

_SMALLEST_RANGE = 2.0**-100


class Affine(Quantizer):
    """Codes over a range low .. high that holds zero; a subclass says how it is chosen."""

    low: Tensor
    high: Tensor
    is_started: Tensor

    def __init__(self, num_bits: int):
        super().__init__(num_bits, TENSOR)
        self.register_buffer("is_started", torch.zeros(()))

    def set_range(self, low: float, high: float) -> None:
        """Set the range; it is widened to hold zero."""
        with torch.no_grad():
            self.low.fill_(min(low, 0.0))
            self.high.fill_(max(high, 0.0))
        self.is_started.fill_(1.0)

    def scale_and_zero(self) -> tuple[Tensor, Tensor]:
        """S and Z in the paper's codes, 0 .. 2^bits - 1; float32 scalars."""
        steps = 2**self.num_bits - 1
        low, high = self.low.detach().clamp_max(0.0), self.high.detach().clamp_min(0.0)
        scale = ((high - low) / steps).clamp_min(_SMALLEST_RANGE)
        return scale, torch.round(-low / scale).clamp_(0, steps)

    @property
    def limits(self) -> tuple[int, int]:
        """The least and the largest code: all 2^bits are used, unlike in a symmetric range."""
        half = 2 ** (self.num_bits - 1)
        return -half, half - 1

    def quantize(self, x: Tensor) -> Quantized:
        """Codes of x, (N, K) float32: clip(rint(x / S) + Z, 0, 2^bits - 1) - 2^(bits - 1).

        The shift by half makes them int8; the zero point (1, 1) int32 is shifted with them.
        """
        scale, zero = self.scale_and_zero()
        half = 2 ** (self.num_bits - 1)
        codes = (torch.round(x / scale) + zero).clamp_(0, 2 * half - 1) - half
        zeros = (zero - half).to(torch.int32).reshape(1, 1)
        return Quantized(codes.to(torch.int8), scale.reshape(1, 1), zeros)

    def edges(self) -> tuple[Tensor, Tensor]:
        """The values of the first and the last code."""
        scale, zero = self.scale_and_zero()
        return -zero * scale, (2**self.num_bits - 1 - zero) * scale

    def gradient_path(self, x: Tensor) -> Tensor:
        return torch.clamp(x, *self.edges())
