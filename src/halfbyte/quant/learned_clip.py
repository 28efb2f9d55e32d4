"""PACT: the range of activations is a parameter, trained with the weights.

    x̂ = the affine code's value over a .. b (affine.py)
    dx̂/dx = 1 inside the range, else 0;   dx̂/da = 1 where x <= a;   dx̂/db = 1 where x >= b

Source: Choi et al. 2018, "PACT: Parameterized Clipping Activation for Quantized Neural Networks"
(arXiv:1805.06085), which has b alone, for what follows a ReLU. Ours has both ends, as MQBench does
(Li et al. 2021, arXiv:2111.03759), each moved by its own share; the first batch sets them, where
theirs start at 6, so that nothing is clipped at first. Weight decay on the range is the
optimiser's affair.
"""

from typing import Any

import torch
from torch import Tensor, nn

from halfbyte.quant.affine import Affine


class _Clip(torch.autograd.Function):
    """Gradients of x and of both ends of its range; the value is x's."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, low: Tensor, high: Tensor, edges: tuple[Tensor, Tensor]
    ) -> Tensor:
        ctx.save_for_backward(x <= edges[0], x >= edges[1])
        return x.view_as(x)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor, Tensor, None]:
        is_below, is_above = ctx.saved_tensors
        is_inside = ~(is_below | is_above)
        return grad * is_inside, (grad * is_below).sum(), (grad * is_above).sum(), None


class LearnedClip(Affine):
    """Activations over a learned range, one scale and zero point per tensor.

    >>> q = LearnedClip(8)
    >>> q.observe(torch.tensor([[0.0, 25.5]]))
    >>> q.quantize(torch.tensor([[0.1, 30.0]])).dequantize()
    tensor([[ 0.1000, 25.5000]])
    """

    def __init__(self, num_bits: int):
        super().__init__(num_bits)
        self.low, self.high = nn.Parameter(torch.zeros(())), nn.Parameter(torch.ones(()))

    def observe(self, x: Tensor) -> None:
        """The first batch sets the range."""
        if not self.is_started:
            low, high = x.detach().aminmax()
            self.set_range(float(low), float(high))

    def gradient_path(self, x: Tensor) -> Tensor:
        return _Clip.apply(x, self.low, self.high, self.edges())  # type: ignore[no-untyped-call]
