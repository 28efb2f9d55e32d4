"""Sinusoidal positions, absolute and relative."""

import math

import torch
from torch import Tensor


def sinusoids(positions: Tensor, width: int) -> Tensor:
    """Sine and cosine of each position at width/2 frequencies, interleaved.

    out[..., 2i] = sin(p · f_i), out[..., 2i+1] = cos(p · f_i), f_i = 10000^(-2i/width).

    Args:
        positions: (...) float32, in steps.
        width: D, even.

    Returns:
        (..., D) float32.

    Source: Vaswani et al. 2017 (arXiv:1706.03762), section 3.5.
    """
    exponent = torch.arange(0, width, 2, dtype=torch.float32) * (-math.log(10000.0) / width)
    angle = positions.unsqueeze(-1) * torch.exp(exponent).to(positions.device)
    return torch.stack([angle.sin(), angle.cos()], dim=-1).flatten(-2)


def distance_table(num_queries: int, num_keys: int, width: int) -> Tensor:
    """Sinusoids of every distance between a query and a key, farthest past first.

    The queries are the last `num_queries` of the keys, so distances run from
    num_keys - 1 down to -(num_queries - 1).

    Returns:
        (num_keys + num_queries - 1, D) float32.
    """
    steps = torch.arange(num_keys + num_queries - 1, dtype=torch.float32)
    return sinusoids(num_keys - 1 - steps, width)


def shift_distances(scores: Tensor, num_keys: int) -> Tensor:
    """Turn scores by distance into scores by key: out[i, j] = scores[i, j + C - 1 - i].

    Args:
        scores: (B, H, C, num_keys + C - 1) float32, one column a row of `distance_table`.

    Returns:
        (B, H, C, num_keys) float32.

    Source: Dai et al. 2019, Transformer-XL (arXiv:1901.02860), appendix B.
    """
    batch, heads, queries, distances = scores.shape
    padded = torch.nn.functional.pad(scores, (1, 0))
    shifted = padded.reshape(batch, heads, distances + 1, queries)[:, :, 1:]
    return shifted.reshape(batch, heads, queries, distances)[..., :num_keys]
