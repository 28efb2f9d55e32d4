"""Affine quantisation of activations over a range that follows what training sees.

    a, b = moving averages of min(x, 0) and max(x, 0)

Source: Jacob et al. 2018 (arXiv:1712.05877). Difference: activations are quantised from the first
step on, where theirs wait for 50 000 steps and more: the first batch sets the range.
"""

import torch
from torch import Tensor

from halfbyte.quant.affine import Affine

MOMENTUM = 0.99  # of the ranges; the paper has "close to 1"


class MovingAverageAffine(Affine):
    """Activations with one scale and zero point per tensor, from averaged minima and maxima.

    >>> q = MovingAverageAffine(8)
    >>> q.set_range(-1.0, 4.1)
    >>> quantized = q.quantize(torch.tensor([[0.0, -1.0, 4.1, 9.0]]))
    >>> quantized.codes.tolist(), quantized.zero_points.tolist()
    ([[-78, -128, 127, 127]], [[-78]])
    """

    def __init__(self, num_bits: int):
        super().__init__(num_bits)
        self.register_buffer("low", torch.zeros(()))
        self.register_buffer("high", torch.ones(()))

    def observe(self, x: Tensor) -> None:
        """Move the range towards what a batch holds; the first batch sets it."""
        low, high = x.detach().aminmax()
        low, high = low.float().clamp_max(0.0), high.float().clamp_min(0.0)
        if not self.is_started:
            self.set_range(float(low), float(high))
            return
        self.low.lerp_(low, 1 - MOMENTUM)
        self.high.lerp_(high, 1 - MOMENTUM)
