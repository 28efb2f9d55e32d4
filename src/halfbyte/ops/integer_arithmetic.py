"""The operators of integer-only models on torch tensors of int64: docs/integer-spec.md.

The same bits as `integer_reference.py`, whose docstrings have the formulas. Products whose sums
float32 holds exactly (below 2^24) are taken there, for torch multiplies integers slowly.
"""

import numpy as np
import torch
from torch import Tensor

from halfbyte.ops import integer_reference as reference

_EXACT_SUMS = (2**24 - 1) // 127**2  # products of two codes that float32 adds without rounding


def fixed_point(values: Tensor, largest_shift: int = 62) -> tuple[Tensor, int]:
    """Real multipliers (...) float64 as int64 and one shift."""
    multipliers, shift = reference.fixed_point(values.detach().cpu().numpy(), largest_shift)
    return torch.from_numpy(multipliers.astype(np.int64)).to(values.device), shift


def round_shift(product: Tensor, shift: int | Tensor) -> Tensor:
    """product / 2^shift to the nearest integer, ties to even; a tensor of shifts is positive.

    Half of 2^shift is added, less one where the quotient is even, in one buffer: a pass over
    memory costs more than what it computes.
    """
    if isinstance(shift, int) and shift == 0:
        return product
    less_than_half = (1 << (shift - 1)) - 1
    return (product >> shift).bitwise_and_(1).add_(product).add_(less_than_half) >> shift


def requantize(
    acc: Tensor, multipliers: Tensor, shift: int, limits: tuple[int, int], residual: Tensor | None
) -> Tensor:
    """clip(residual + round(acc · multiplier / 2^shift)); residual may be left out."""
    rounded = round_shift(acc.to(torch.int64) * multipliers, shift)
    return (rounded if residual is None else residual + rounded).clamp(*limits)


def product(a: Tensor, b: Tensor) -> Tensor:
    """a @ b of codes, exact, int64."""
    dtype = torch.float32 if a.shape[-1] <= _EXACT_SUMS else torch.float64
    return (a.to(dtype) @ b.to(dtype)).to(torch.int64)


def layer_norm(
    x: Tensor, weight: Tensor, bias: Tensor, epsilon: int, shift: int, high: int
) -> Tensor:
    """Layer norm in fixed point over the last axis."""
    d = x.shape[-1]
    total = x.sum(-1, keepdim=True)
    v = d * (x * x).sum(-1, keepdim=True) - total * total + epsilon
    h = sum((v < 1 << (60 - 2 * i)).to(torch.int64) for i in range(30))
    u = v << (2 * h)
    root = torch.full_like(u, 1 << 31)
    for _ in range(reference.ROOT_STEPS):
        root = (root + u // root) >> 1
    factor = ((1 << 61) // root).clamp_max((1 << 31) - 1)
    z = round_shift((d * x - total) * factor, 61 - reference.NORM_BITS - h)
    return round_shift(z * weight + bias, shift).clamp(-high, high)


def depthwise(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """x (B, T + taps - 1, D), weight (taps, D) -> (B, T, D)."""
    filters = weight.t()[:, None].float()
    sums = torch.nn.functional.conv1d(x.transpose(1, 2).float(), filters, groups=filters.shape[0])
    return sums.transpose(1, 2).to(torch.int64) + bias


def split_heads(x: Tensor, heads: int) -> Tensor:
    """(..., T, D) -> (..., H, T, D / H)."""
    return x.unflatten(-1, (heads, -1)).transpose(-2, -3)


def of_keys(by_distance: Tensor, num_keys: int) -> Tensor:
    """Scores by distance (B, H, C, K + C - 1) as scores by key: y[i, j] = x[i, j + C - 1 - i]."""
    queries = by_distance.shape[-2]
    device = by_distance.device
    column = torch.arange(num_keys, device=device) + queries - 1
    index = column - torch.arange(queries, device=device)[:, None]
    return by_distance.gather(-1, index.expand(*by_distance.shape[:-1], num_keys))


def attention_weights(scores: Tensor, visible: Tensor) -> Tensor:
    """Of scores in 1/64 of a nat; visible is bool, broadcastable to them."""
    seen = torch.where(visible, scores, reference.UNSEEN)
    below = (seen.amax(-1, keepdim=True) - seen).clamp_max(reference.NUM_EXPONENTIALS - 1)
    return torch.from_numpy(reference.exponentials()).to(scores.device, torch.int64)[below]


def weighted_mean(weights: Tensor, value: Tensor, multiplier: int, shift: int) -> Tensor:
    """clip(round((Σ e · v) · f / 2^(shift + 7)), ±127), f = (multiplier · 2^7) / Σ e."""
    factor = (multiplier << 7) // weights.sum(-1, keepdim=True)
    return round_shift(product(weights, value) * factor, shift + 7).clamp(-127, 127)
