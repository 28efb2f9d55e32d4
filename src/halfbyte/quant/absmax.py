"""Absolute-maximum quantisation in torch: the codes and scales of the integer contract.

Source: Ding et al. 2022, "4-bit Conformer with Native Quantization Aware Training"
(arXiv:2203.15952). Their edge is 2^(b-1) - 0.5, ours 2^(b-1) - 1 (docs/integer-spec.md).
"""

from typing import Any

import torch
from torch import Tensor

SMALLEST_ACTIVATION = 2.0**-100  # below this a row counts as zero, so that no scale underflows
SMALLEST_WEIGHT_SCALE = 2.0**-14  # the smallest normal number of fp16


def largest_code(num_bits: int) -> int:
    """Largest code of a symmetric `num_bits` quantiser: 7 for 4 bits, 127 for 8."""
    return (1 << (num_bits - 1)) - 1


def quantize_weight(weight: Tensor, num_bits: int) -> tuple[Tensor, Tensor]:
    """Round each output channel of a weight to integer codes with one fp16 scale.

    scale = max(fp16(max|w| / qmax), 2^-14), code = clip(rint(w / scale), -qmax, qmax).

    Args:
        weight: (N, K) float32, finite; N outputs, K inputs.
        num_bits: 2 to 8.

    Returns:
        codes: (N, K) int8, each in -qmax..qmax.
        scales: (N,) float32, each representable in fp16.
    """
    qmax = largest_code(num_bits)
    scales = (weight.abs().amax(dim=1) / qmax).half().float().clamp_min(SMALLEST_WEIGHT_SCALE)
    codes = torch.round(weight / scales[:, None]).clamp_(-qmax, qmax)
    return codes.to(torch.int8), scales


def quantize_rows(x: Tensor, num_bits: int) -> tuple[Tensor, Tensor]:
    """Round each row of activations to integer codes with a scale taken from the row itself.

    scale = 1 if max|x| < 2^-100 else max|x| / qmax, code = clip(rint(x / scale), -qmax, qmax).

    Args:
        x: (M, K) float32, finite.
        num_bits: 4 or 8.

    Returns:
        codes: (M, K) int8, each in -qmax..qmax.
        scales: (M, 1) float32.
    """
    qmax = largest_code(num_bits)
    amax = x.abs().amax(dim=1, keepdim=True)
    scales = torch.where(amax < SMALLEST_ACTIVATION, torch.ones_like(amax), amax / qmax)
    return torch.round(x / scales).clamp_(-qmax, qmax).to(torch.int8), scales


class _StoreHalf(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, value: Tensor) -> Tensor:
        return value.half().float()

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        return grad


def stored_half(value: Tensor) -> Tensor:
    """The value as the model file stores it, in fp16; the gradient passes straight through."""
    return _StoreHalf.apply(value)  # type: ignore[no-untyped-call]
