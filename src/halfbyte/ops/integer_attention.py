"""The heart of attention in integer-only models: scores, softmax, weighted mean."""

import math

import torch
from torch import Tensor
from torch.nn import functional

from halfbyte.ops import integer_arithmetic as arithmetic
from halfbyte.ops import integer_reference as reference
from halfbyte.ops.integer_leaf import IntegerLeaf
from halfbyte.quant.ranges import Range

LARGEST_SHIFT = 55
_NOT_SEEN = -1e9


class IntegerAttend(IntegerLeaf):
    """softmax(((q + u) · k + (q + v) · p) / sqrt(D/H)) · value, in integers.

    Scores are in 1/64 of a nat; exponentials, in units of 1/127 of the largest, multiply the
    values' codes before the one division by their sum.

    Args:
        biases: u and v, (H, 1, D/H), which their owner trains.
        ranges: of queries, keys, values and projected distances.
        out: of the result.
    """

    def __init__(self, biases: tuple[Tensor, Tensor], ranges: tuple[Range, ...], out: Range):
        super().__init__(ranges[2], out)
        self._biases, self._ranges = list(biases), list(ranges)
        self.heads = biases[0].shape[0]

    def bias_codes(self) -> tuple[Tensor, Tensor]:
        """u and v in the range of the queries, (D,) int64 each."""
        scale = self._ranges[0].scale
        u, v = (torch.round(b.detach().double().flatten() / scale) for b in self._biases)
        return u.clamp(-127, 127).to(torch.int64), v.clamp(-127, 127).to(torch.int64)

    def score_multipliers(self) -> tuple[int, int, int]:
        """Of content and of position, and their shift."""
        query, key, _, position = (r.scale for r in self._ranges)
        width = self._biases[0].shape[-1]
        unit = query * reference.STEPS_PER_NAT / math.sqrt(width)
        real = torch.tensor([unit * key, unit * position], dtype=torch.float64)
        multipliers, shift = arithmetic.fixed_point(real)
        return int(multipliers[0]), int(multipliers[1]), shift

    def mean_multiplier(self) -> tuple[int, int]:
        """Of the weighted mean, and its shift."""
        ratio = torch.tensor([self.source.scale / self.out.scale], dtype=torch.float64)
        multiplier, shift = arithmetic.fixed_point(ratio, LARGEST_SHIFT)
        return int(multiplier), shift

    def forward(
        self, query: Tensor, key: Tensor, value: Tensor, distances: Tensor, visible: Tensor
    ) -> Tensor:
        """One chunk of queries.

        Args:
            query: (B, C, D) float32.
            key, value: (B, K, D) float32.
            distances: (K + C - 1, D) float32, farthest past first.
            visible: (B, K) int8, or (B, C, K) bool.

        Returns:
            (B, C, D) float32.
        """
        mask = visible[:, None] if visible.dim() == 3 else (visible != 0)[:, None, None]
        inputs = (query, key, value, distances)
        return self._finish(self._real(*inputs, mask), lambda: self._codes(*inputs, mask))

    def _real(self, q: Tensor, k: Tensor, v: Tensor, distances: Tensor, mask: Tensor) -> Tensor:
        query, key, value, far = (self._split(x) for x in (q, k, v, distances))
        u, v_bias = self._biases
        content = (query + u) @ key.transpose(-1, -2)
        position = arithmetic.of_keys((query + v_bias) @ far.transpose(-1, -2), key.shape[-2])
        scores = (content + position).float() / math.sqrt(query.shape[-1])
        weights = functional.softmax(scores.masked_fill(~mask, _NOT_SEEN), -1)
        return (weights @ value).transpose(1, 2).flatten(2).float()

    def _codes(self, q: Tensor, k: Tensor, v: Tensor, distances: Tensor, mask: Tensor) -> Tensor:
        of_query, of_key, of_value, of_distance = self._ranges
        u, v_bias = ((of_query.codes(q) + b).clamp(-127, 127) for b in self.bias_codes())
        key, far = self._split(of_key.codes(k)), self._split(of_distance.codes(distances))
        content = arithmetic.product(self._split(u), key.transpose(-1, -2))
        by_distance = arithmetic.product(self._split(v_bias), far.transpose(-1, -2))
        position = arithmetic.of_keys(by_distance, key.shape[-2])
        m_content, m_position, shift = self.score_multipliers()
        scores = arithmetic.round_shift(content * m_content + position * m_position, shift)
        weights = arithmetic.attention_weights(scores, mask)
        value = self._split(of_value.codes(v))
        mean = arithmetic.weighted_mean(weights, value, *self.mean_multiplier())
        return mean.transpose(1, 2).flatten(2)

    def _split(self, x: Tensor) -> Tensor:
        return arithmetic.split_heads(x, self.heads)
