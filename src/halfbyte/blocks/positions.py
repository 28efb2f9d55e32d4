"""Sinusoidal positions, absolute and relative."""

import math

import torch
from torch import Tensor, nn

from halfbyte.ops.coded import Coded
from halfbyte.quant.ranges import Range

_CODE = 1 / 127  # sinusoids lie in -1 .. 1


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


class Distances(nn.Module):
    """Sinusoids of distances between queries and keys, as RelativeAttention takes them.

    Args:
        width: D.
        longest: most keys that are ever seen at once.
    """

    def __init__(self, width: int, longest: int):
        super().__init__()
        self.width, self.longest = width, longest

    def forward(self, num_queries: int, num_keys: int, device: torch.device) -> Tensor:
        """(num_keys + num_queries - 1, D) float32, farthest past first."""
        return distance_table(num_queries, num_keys, self.width).to(device)

    def integer(self) -> nn.Module:
        """Rows of a table of codes."""
        return IntegerDistances(self.width, self.longest)


class IntegerDistances(nn.Module):
    """Sinusoids of distances as rows of a table of int8 codes."""

    table: Tensor

    def __init__(self, width: int, longest: int):
        super().__init__()
        self.longest = longest
        self.out_range = Range(amax=1.0)
        distance = torch.arange(1 - longest, longest, dtype=torch.float64)
        codes = torch.round(sinusoids(distance.float(), width) / _CODE)
        self.register_buffer("table", codes * _CODE, persistent=False)

    def _rows(self, num_queries: int, num_keys: int) -> Tensor:
        back = torch.arange(num_keys + num_queries - 1, device=self.table.device)
        return self.table.index_select(0, self.longest - 1 + num_keys - 1 - back)

    def forward(self, num_queries: int, num_keys: int, _: torch.device) -> Coded:
        """(num_keys + num_queries - 1, D): distances num_keys - 1 down to 1 - num_queries."""
        return Coded(self._rows(num_queries, num_keys), self.out_range)

    def freeze(self) -> nn.Module:
        """The same rows, in int8."""
        return _FrozenDistances(self)


class _FrozenDistances(IntegerDistances):
    def __init__(self, layer: IntegerDistances):
        nn.Module.__init__(self)
        self.longest = layer.longest
        codes = torch.round(layer.table / _CODE).to(torch.int8)
        self.register_buffer("table", codes)

    def forward(self, num_queries: int, num_keys: int, _: torch.device) -> Tensor:  # type: ignore[override]
        return self._rows(num_queries, num_keys)


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
