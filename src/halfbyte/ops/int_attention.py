"""IntAttention: attention with relative positions, in integers.

z_ij = round((a_i · k_j · m_a + b_i · p_{j + C - 1 - i} · m_b) / 2^score_shift), in 1/64 of a nat,
with a_i = clip(q_i + content) and b_i = clip(q_i + position), ±127, and -2^61 for keys that are not
valid; e_ij = E[min(max_j z - z_ij, 511)], E[i] = rint(127 · exp(-i / 64));
y_i = clip(round((Σ_j e_ij · v_j) · f_i / 2^(shift + 7)), ±127), f_i = (multiplier · 2^7) / Σ_j e_ij
to the integer below. Exponentials multiply the values' codes before the one division by their sum.

query (B, C, D), content and position (D,), exponentials (512,), key and value (B, K, D), distances
(K + C - 1, D), farthest past first, valid (B, K), 0 where a key must not be seen, and y (B, C, D):
all int8. shift is at most 55. Head by head, D/H elements each.
"""

import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from halfbyte.ops.coded import Coded
from halfbyte.ops.fixed_point import (
    Int64Array,
    fixed_point_number,
    fixed_point_of,
    round_shift,
    round_shift_of,
)
from halfbyte.ops.integer_leaf import Flow, IntegerLeaf
from halfbyte.ops.integer_memory import IntegerMemory
from halfbyte.ops.onnx_text import (
    INT8,
    INT32,
    INT64,
    LIMITS_8,
    NUMBERS,
    at_most,
    attribute,
    clip,
    number,
    round_quotient,
    wide,
    within,
)
from halfbyte.ops.operator import FrozenOperator, Operator
from halfbyte.quant.ranges import Range
from halfbyte.quant.reference import Int8Array

STEPS_PER_NAT = 64  # of a score before the softmax
NUM_EXPONENTIALS = 512
UNSEEN = -(1 << 61)
LARGEST_SHIFT = 55
_EXACT_SUMS = (2**24 - 1) // 127**2  # products of two codes that float32 adds without rounding
_NOT_SEEN = -1e9


def exponentials() -> Int8Array:
    """E: rint(127 · exp(-i / 64)), i = 0 .. 511; the last ones are 0."""
    steps = np.arange(NUM_EXPONENTIALS) / STEPS_PER_NAT
    return np.rint(127 * np.exp(-steps)).astype(np.int8)


def reference(
    query: Int8Array,
    biases: tuple[Int8Array, Int8Array],
    key: Int8Array,
    value: Int8Array,
    distances: Int8Array,
    valid: Int8Array,
    multipliers: tuple[int, int],
    score_shift: int,
    multiplier: int,
    shift: int,
    heads: int,
) -> Int8Array:
    """The formula in numpy; biases are content and position, multipliers m_a and m_b."""

    def split(x: NDArray[np.integer]) -> Int64Array:  # (..., T, D) -> (..., H, T, D / H)
        by_head = x.astype(np.int64).reshape(*x.shape[:-1], heads, -1)
        return np.swapaxes(by_head, -2, -3)

    with_bias = [np.clip(query.astype(np.int64) + bias, -127, 127) for bias in biases]
    content = split(with_bias[0]) @ np.swapaxes(split(key), -1, -2)  # (B, H, C, K)
    by_distance = split(with_bias[1]) @ np.swapaxes(split(distances), -1, -2)
    num_queries, num_keys = content.shape[-2:]
    column = np.arange(num_keys) + num_queries - 1 - np.arange(num_queries)[:, None]
    position = np.take_along_axis(by_distance, column[None, None], axis=-1)
    scores = round_shift(content * multipliers[0] + position * multipliers[1], score_shift)
    scores = np.where(valid[:, None, None] != 0, scores, UNSEEN)
    below = np.minimum(scores.max(axis=-1, keepdims=True) - scores, NUM_EXPONENTIALS - 1)
    weights = exponentials().astype(np.int64)[below]
    factor = (multiplier << 7) // weights.sum(axis=-1, keepdims=True)
    mean = round_shift((weights @ split(value)) * factor, shift + 7)
    return np.clip(np.swapaxes(mean, 1, 2).reshape(query.shape), -127, 127).astype(np.int8)


def _product(a: Tensor, b: Tensor) -> Tensor:
    """a @ b of codes, exact, int64; torch multiplies integers slowly."""
    dtype = torch.float32 if a.shape[-1] <= _EXACT_SUMS else torch.float64
    return (a.to(dtype) @ b.to(dtype)).to(torch.int64)


def _of_keys(by_distance: Tensor, num_keys: int) -> Tensor:
    """Scores by distance (B, H, C, K + C - 1) as scores by key: y[i, j] = x[i, j + C - 1 - i]."""
    queries = by_distance.shape[-2]
    device = by_distance.device
    column = torch.arange(num_keys, device=device) + queries - 1
    index = column - torch.arange(queries, device=device)[:, None]
    return by_distance.gather(-1, index.expand(*by_distance.shape[:-1], num_keys))


def _weights(scores: Tensor, visible: Tensor) -> Tensor:
    """e of scores z; visible is bool, broadcastable to them."""
    seen = torch.where(visible, scores, UNSEEN)
    below = (seen.amax(-1, keepdim=True) - seen).clamp_max(NUM_EXPONENTIALS - 1)
    return torch.from_numpy(exponentials()).to(scores.device, torch.int64)[below]


def _weighted_mean(weights: Tensor, value: Tensor, multiplier: int, shift: int) -> Tensor:
    factor = (multiplier << 7) // weights.sum(-1, keepdim=True)
    return round_shift_of(_product(weights, value) * factor, shift + 7).clamp(-127, 127)


class IntegerAttend(IntegerLeaf):
    """softmax(((q + u) · k + (q + v) · p) / sqrt(D/H)) · value, in integers.

    Backward as of the float function.
    """

    def __init__(self, num_heads: int):
        super().__init__()
        self.num_heads = num_heads
        self.out_range = Range()
        self.keys, self.values = IntegerMemory(), IntegerMemory()
        self._biases: tuple[Tensor, ...] = ()

    def bias_codes(self) -> list[Tensor]:
        """u and v in the range of the queries, (D,) int64 each."""
        scale = self.scale_of("query")
        codes = (torch.round(b.detach().double().flatten() / scale) for b in self._biases)
        return [each.clamp(-127, 127).to(torch.int64) for each in codes]

    def score_multipliers(self) -> tuple[int, int, int]:
        """Of content and of position, and their shift."""
        unit = self.scale_of("query") * STEPS_PER_NAT / math.sqrt(self._biases[0].shape[-1])
        content, position = unit * self.scale_of("key"), unit * self.scale_of("distances")
        real = torch.tensor([content, position], dtype=torch.float64)
        multipliers, shift = fixed_point_of(real)
        return int(multipliers[0]), int(multipliers[1]), shift

    def mean_multiplier(self) -> tuple[int, int]:
        """Of the weighted mean, and its shift."""
        return fixed_point_number(self.scale_of("value") / self.out_range.scale, LARGEST_SHIFT)

    def forward(
        self,
        query: Flow,
        key: Flow,
        value: Flow,
        past: tuple[Coded, Coded],
        distances: Flow,
        biases: tuple[nn.Parameter, nn.Parameter],
        visible: Tensor,
    ) -> tuple[Coded, Coded, Coded]:
        """One chunk of queries.

        Args:
            query, key, value: (B, C, D).
            past: keys and values of the left context, (B, L, D).
            distances: (K + C - 1, D), farthest past first; K = L + C.
            biases: u and v, (H, 1, D/H).
            visible: (B, K) int8, or (B, C, K) bool.

        Returns:
            (B, C, D), and keys and values without the C oldest.
        """
        self._biases = biases
        keys, kept_key = self.keys(past[0], key)
        values, kept_value = self.values(past[1], value)
        named = {"query": query, "key": keys, "value": values, "distances": distances}
        operands = [self.take(name, x) for name, x in named.items()]
        mask = visible[:, None] if visible.dim() == 3 else (visible != 0)[:, None, None]
        real = self._real([self._split(x.value) for x in operands], mask)
        y = self.finish(real, lambda: self._codes(operands, mask), self.out_range)
        return y, kept_key, kept_value

    def _real(self, operands: list[Tensor], mask: Tensor) -> Tensor:
        query, key, value, far = operands
        u, v = self._biases
        content = (query + u) @ key.transpose(-1, -2)
        position = _of_keys((query + v) @ far.transpose(-1, -2), key.shape[-2])
        scores = (content + position).float() / math.sqrt(query.shape[-1])
        weights = functional.softmax(scores.masked_fill(~mask, _NOT_SEEN), -1)
        return (weights @ value).transpose(1, 2).flatten(2).float()

    def _codes(self, operands: list[Coded], mask: Tensor) -> Tensor:
        query, key, value, far = (x.codes for x in operands)
        u, v = (self._split((query + b).clamp(-127, 127)) for b in self.bias_codes())
        keys = self._split(key)
        content = _product(u, keys.transpose(-1, -2))
        by_distance = _product(v, self._split(far).transpose(-1, -2))
        position = _of_keys(by_distance, keys.shape[-2])
        m_content, m_position, shift = self.score_multipliers()
        scores = round_shift_of(content * m_content + position * m_position, shift)
        weights = _weights(scores, mask)
        mean = _weighted_mean(weights, self._split(value), *self.mean_multiplier())
        return mean.transpose(1, 2).flatten(2)

    def _split(self, x: Tensor) -> Tensor:
        """(..., T, D) -> (..., H, T, D / H)."""
        return x.unflatten(-1, (self.num_heads, -1)).transpose(-2, -3)

    def freeze(self) -> nn.Module:
        """One node over biases and exponentials."""
        content, position, score_shift = self.score_multipliers()
        multiplier, shift = self.mean_multiplier()
        biases = [each.to(torch.int8) for each in self.bias_codes()]
        node = FrozenOperator(
            OPERATOR,
            torch.int8,
            {
                "content": biases[0],
                "position": biases[1],
                "exponentials": torch.from_numpy(exponentials()),
            },
            {
                "heads": self.num_heads,
                "content_multiplier": content,
                "position_multiplier": position,
                "score_divisor": 1 << score_shift,
                "multiplier": multiplier,
                "divisor": 1 << shift,
            },
            before=self.frozen_operands("query", "key", "value", "distances"),
        )
        return _FrozenAttend(node, self.keys.freeze(), self.values.freeze())


class _FrozenAttend(nn.Module):
    """The node, without the biases, which are among its constants."""

    def __init__(self, node: FrozenOperator, keys: nn.Module, values: nn.Module):
        super().__init__()
        self.node, self.keys, self.values = node, keys, values

    def forward(
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        past: tuple[Tensor, Tensor],
        distances: Tensor,
        _: object,
        valid: Tensor,
    ) -> tuple[Tensor, Tensor, Tensor]:
        keys, kept_key = self.keys(past[0], key)
        values, kept_value = self.values(past[1], value)
        return self.node(query, keys, values, distances, valid), kept_key, kept_value


def _heads(x: str, out: str, perm: str = "0, 2, 1, 3") -> str:
    """(B, T, D) as int32 heads (B, H, T, D / H), or transposed."""
    return f"""
    {out}_int = Cast <to = {INT32}> ({x})
    {out}_split = Reshape ({out}_int, by_head)
    {out} = Transpose <perm = [{perm}]> ({out}_split)"""


def _with_bias(bias: str, out: str) -> str:
    return (
        f"""
    {out}_bias = Cast <to = {INT64}> ({bias})
    {out}_sum = Add (query_wide, {out}_bias)"""
        + within(f"{out}_sum", "low", "high", f"{out}_clipped")
        + _heads(f"{out}_clipped", out)
    )


_ATTRIBUTES = "heads, content_multiplier, position_multiplier, score_divisor, multiplier, divisor"
OPERATOR = Operator(
    "IntAttention",
    "query, content, position, exponentials, key, value, distances, valid",
    attributes=_ATTRIBUTES,
    constants={"content": "int8", "position": "int8", "exponentials": "int8"},
    body=NUMBERS
    + LIMITS_8
    + wide("query", "exponentials")
    + "".join(attribute(name) for name in _ATTRIBUTES.split(", "))
    + number("unseen", UNSEEN)
    + number("lowest", NUM_EXPONENTIALS - 1)
    + number("zero", 0)
    + number("room", 128)
    + """
    zeros = Constant <value_ints = [0, 0]> ()
    minus = Constant <value_ints = [-1]> ()
    axis_zero = Constant <value_ints = [0]> ()
    heads_row = Unsqueeze (heads_attr, axis_zero)
    by_head = Concat <axis = 0> (zeros, heads_row, minus)"""
    + _with_bias("content", "by_content")
    + _with_bias("position", "by_position")
    + _heads("key", "keys", "0, 2, 3, 1")
    + _heads("value", "values")
    + """
    distances_row = Unsqueeze (distances, axis_zero)"""
    + _heads("distances_row", "far", "0, 2, 3, 1")
    + f"""
    content_dot = MatMul (by_content, keys)
    far_dot = MatMul (by_position, far)
    key_shape = Shape <start = 1, end = 2> (key)
    num_keys = Squeeze (key_shape)
    query_shape = Shape <start = 1, end = 2> (query)
    num_queries = Squeeze (query_shape)
    column = Range (zero, num_keys, one)
    row = Range (zero, num_queries, one)
    last_row = Sub (num_queries, one)
    back = Sub (last_row, row)
    axis_one = Constant <value_ints = [1]> ()
    back_column = Unsqueeze (back, axis_one)
    index_rows = Add (back_column, column)
    dot_shape = Shape (content_dot)
    index = Expand (index_rows, dot_shape)
    position_dot = GatherElements <axis = 3> (far_dot, index)
    content_wide = Cast <to = {INT64}> (content_dot)
    position_wide = Cast <to = {INT64}> (position_dot)
    content_product = Mul (content_wide, content_multiplier_attr)
    position_product = Mul (position_wide, position_multiplier_attr)
    score_product = Add (content_product, position_product)"""
    + round_quotient("score_product", "score_divisor_attr", "scores")
    + f"""
    valid_wide = Cast <to = {INT64}> (valid)
    is_unseen = Equal (valid_wide, zero)
    middle_axes = Constant <value_ints = [1, 2]> ()
    is_unseen_key = Unsqueeze (is_unseen, middle_axes)
    seen = Where (is_unseen_key, unseen, scores)
    last_axis = Constant <value_ints = [-1]> ()
    largest = ReduceMax <keepdims = 1> (seen, last_axis)
    depth = Sub (largest, seen)"""
    + at_most("depth", "lowest", "below")
    + f"""
    weights = Gather <axis = 0> (exponentials_wide, below)
    weights_int = Cast <to = {INT32}> (weights)
    context = MatMul (weights_int, values)
    context_wide = Cast <to = {INT64}> (context)
    total = ReduceSum <keepdims = 1> (weights, last_axis)
    numerator = Mul (multiplier_attr, room)
    factor = Div (numerator, total)
    product = Mul (context_wide, factor)
    whole_divisor = Mul (divisor_attr, room)"""
    + round_quotient("product", "whole_divisor", "rounded")
    + """
    by_step = Transpose <perm = [0, 2, 1, 3]> (rounded)
    joined_shape = Shape (query)
    joined = Reshape (by_step, joined_shape)"""
    + clip("joined", "low", "high", INT8),
)
