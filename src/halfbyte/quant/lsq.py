"""Learned step size: a scale that is trained with the weights.

Source: Esser et al. 2020, "Learned Step Size Quantization" (arXiv:1902.08153), as MQBench restates
it (Li et al. 2021, arXiv:2111.03759).

    x̂ = s · clip(rint(x / s), -qmax, qmax)
    dx̂/dx = 1 where |x / s| < qmax, else 0
    dx̂/ds = rint(x / s) - x / s where |x / s| < qmax, else ±qmax
    the gradient of s is multiplied by 1 / sqrt(number of elements of the scale · qmax)
    s starts at 2 · mean|x| / sqrt(qmax)

Differences: codes are symmetric (theirs reach -2^(b-1)); the scale of weights is used as the file
stores it, in fp16, and at 1 bit the code is the sign. The published step sizes of theirs are per
tensor, ours per channel too, each with its own number of elements. A step may be used as the power
of two nearest to it on a logarithmic scale, 2^rint(log2 s), as MQBench has it for TVM; the gradient
passes that rounding straight through.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from halfbyte.quant.absmax import stored_scale
from halfbyte.quant.quantizer import (
    TENSOR,
    Granularity,
    Quantized,
    Quantizer,
    largest_code,
    round_to_codes,
)

FOLLOWED_STEPS = 200  # batches in which the step follows the starting rule
ScaleForm = Callable[[Tensor], Tensor]  # how a step is used: float32 in and out


def real_scale(step: Tensor) -> Tensor:
    """The step itself, at least 2^-100."""
    return step.clamp_min(2.0**-100)


def power_of_two(step: Tensor) -> Tensor:
    """2^rint(log2 step), exact, at least 2^-100.

    >>> power_of_two(torch.tensor([1.0, 1.4, 1.5, 0.3])).tolist()
    [1.0, 1.0, 2.0, 0.25]
    """
    step = real_scale(step)
    mantissa, _ = torch.frexp(step)  # step = mantissa · 2^e, 1/2 <= mantissa < 1
    return step / mantissa * torch.where(mantissa < 0.5**0.5, 0.5, 1.0)


class _LearnedStep(torch.autograd.Function):
    """Gradients of x and of the step; the value is x's."""

    @staticmethod
    def forward(ctx: Any, split: Tensor, step: Tensor, stored: Tensor, num_bits: int) -> Tensor:
        # Not the step itself: a layer that runs twice in a batch moves it in between (`observe`).
        ctx.save_for_backward(split, step.sign(), stored)
        ctx.num_bits = num_bits
        return split.view_as(split)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor, None, None]:
        split, sign, stored = ctx.saved_tensors
        qmax = largest_code(ctx.num_bits)
        scaled = split / stored.unsqueeze(2)
        is_inside = scaled.abs() < qmax
        codes = round_to_codes(scaled, ctx.num_bits).to(split.dtype)
        by_step = codes if ctx.num_bits == 1 else torch.where(is_inside, codes - scaled, codes)
        damping = (split.shape[2] * qmax) ** -0.5
        step_grad = (grad * by_step).sum(dim=2) * sign * damping
        return grad * is_inside, step_grad, None, None


class LearnedStep(Quantizer):
    """LSQ for weights (any granularity) or activations (per tensor).

    The step is a parameter. In the first FOLLOWED_STEPS batches it follows the starting rule,
    because a layer that starts at zero has no scale worth learning yet; an observer may set it
    instead (observers.py), and then it is learned at once.

    Args:
        shape: of what is quantised, (N, K); of activations (1, K).
        form: how the step is used: `stored_scale`, in fp16, as that of weights; `real_scale` or
            `power_of_two`.
    """

    num_observed: Tensor

    def __init__(
        self,
        num_bits: int,
        granularity: Granularity = TENSOR,
        shape: tuple[int, int] = (1, 1),
        form: ScaleForm = stored_scale,
    ):
        super().__init__(num_bits, granularity)
        split = granularity.split(torch.empty(shape, device="meta"))
        self.step = nn.Parameter(torch.ones(split.shape[:2]))
        self.register_buffer("num_observed", torch.zeros(()))
        self._form = form

    def start(self, x: Tensor) -> None:
        """Set the step to 2 · mean|x| / sqrt(qmax); x: (N, K) float32."""
        size = self.granularity.split(x.detach()).float().abs().mean(dim=2)
        self.set_scales(2 * size * largest_code(self.num_bits) ** -0.5)

    def set_scales(self, scales: Tensor) -> None:
        """Set the step; (rows, groups) float32."""
        with torch.no_grad():
            self.step.copy_(scales)
        self.num_observed.fill_(FOLLOWED_STEPS)

    def scales(self) -> Tensor:
        """The scales in use; (rows, groups) float32, each > 0."""
        return self._form(self.step.detach().abs())

    def quantize(self, x: Tensor) -> Quantized:
        """Codes of x, (N, K) float32: clip(rint(x / step), -qmax, qmax), with the step learned."""
        scales = self.scales()
        split = self.granularity.split(x)
        codes = round_to_codes(split / scales.unsqueeze(2), self.num_bits)
        return Quantized(codes.reshape(x.shape), scales)

    def gradient_path(self, x: Tensor) -> Tensor:
        """x with the gradient of LSQ: to x where it is not clipped, and to the step everywhere."""
        split = self.granularity.split(x)
        path = _LearnedStep.apply(split, self.step, self.scales(), self.num_bits)  # type: ignore[no-untyped-call]
        return path.reshape(x.shape)

    def observe(self, x: Tensor) -> None:
        """The first batches start the step; theirs starts with the first."""
        seen = float(self.num_observed)
        if seen < FOLLOWED_STEPS:
            self.start(x)
            self.num_observed.fill_(seen + 1)
