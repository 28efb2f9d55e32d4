"""ChunkAttention: attention of one chunk of a stream to its left context and itself, in float32.

keys = (past_key, heads of key), values likewise; score_ij = ((q_i + u) · k_j + (q_i + v) · p_ij) ·
scale + mask_ij; y_i = Σ_j softmax_j(score_ij) · v_j, head by head. p_ij is column j + C - 1 - i of
`position` (shift = 1: columns are distances, farthest past first) or column j (shift = 0).

query, key, value (B, C, D); past_key, past_value (B, H, L, D/H), K = L + C; position (B or 1, H,
D/H, K + C - 1 or K); biases u and v (H, 1, D/H); mask broadcastable to (B, H, C, K); y (B, C, D);
kept_key, kept_value (B, H, L, D/H), without the C oldest: all float32.
"""

import numpy as np
import torch
from torch import Tensor

from halfbyte.ops.operator import Operator
from halfbyte.quant.reference import FloatArray


def reference(
    operands: tuple[FloatArray, FloatArray, FloatArray],
    past: tuple[FloatArray, FloatArray],
    position: FloatArray,
    biases: tuple[FloatArray, FloatArray],
    mask: FloatArray,
    scale: float,
    shift: bool,
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """The formula in numpy: y, kept_key and kept_value; sums in numpy's order."""
    (batch, chunk, width), num_heads = operands[0].shape, biases[0].shape[0]
    split = (x.reshape(batch, chunk, num_heads, -1).swapaxes(1, 2) for x in operands)
    query, new_key, new_value = split
    keys, values = (
        np.concatenate(pair, axis=2) for pair in zip(past, (new_key, new_value), strict=True)
    )
    by_content = (query + biases[0]) @ keys.swapaxes(2, 3)
    by_column = (query + biases[1]) @ position
    row, column = np.ogrid[:chunk, : keys.shape[2]]
    columns = column + shift * (chunk - 1 - row) + np.zeros_like(by_content, np.int64)
    scores = (by_content + np.take_along_axis(by_column, columns, axis=3)) * np.float32(
        scale
    ) + mask
    weights = np.exp(scores - scores.max(axis=3, keepdims=True))
    weights /= weights.sum(axis=3, keepdims=True)
    y = (weights @ values).swapaxes(1, 2).reshape(batch, chunk, width)
    return y, keys[:, :, chunk:], values[:, :, chunk:]


def emit(
    operands: tuple[Tensor, ...],
    past: tuple[Tensor, Tensor],
    position: Tensor,
    biases: tuple[Tensor, Tensor],
    mask: Tensor,
    scale: float,
    shift: bool,
) -> tuple[Tensor, Tensor, Tensor]:
    """One node of a graph that is traced; operands are query, key and value."""
    context, kept_key, kept_value = OPERATOR.nodes(
        (*operands, *past, position, *biases, mask),
        [(torch.float32, tuple(x.shape)) for x in (operands[0], *past)],
        {"scale": scale, "shift": int(shift)},
    )
    return context, kept_key, kept_value


def _heads(x: str, out: str) -> str:
    return f"""
    {out}_split = Reshape ({x}, by_head)
    {out} = Transpose <perm = [0, 2, 1, 3]> ({out}_split)"""


OPERATOR = Operator(
    "ChunkAttention",
    "query, key, value, past_key, past_value, position, content_bias, position_bias, mask",
    attributes="scale, shift",
    outputs="y, kept_key, kept_value",
    body="""
    scale_attr = Constant <value_float: float = @scale> ()
    shift_attr = Constant <value_int: int = @shift> ()
    zero = Constant <value_int = 0> ()
    one = Constant <value_int = 1> ()
    axis_one = Constant <value_ints = [1]> ()
    axis_two = Constant <value_ints = [2]> ()
    zeros = Constant <value_ints = [0, 0]> ()
    minus = Constant <value_ints = [-1]> ()
    end = Constant <value_ints = [9223372036854775807]> ()
    heads = Shape <start = 0, end = 1> (content_bias)
    by_head = Concat <axis = 0> (zeros, heads, minus)"""
    + _heads("query", "queries")
    + _heads("key", "new_keys")
    + _heads("value", "new_values")
    + """
    keys = Concat <axis = 2> (past_key, new_keys)
    values = Concat <axis = 2> (past_value, new_values)
    turned_keys = Transpose <perm = [0, 1, 3, 2]> (keys)
    for_content = Add (queries, content_bias)
    by_content = MatMul (for_content, turned_keys)
    for_position = Add (queries, position_bias)
    by_column = MatMul (for_position, position)
    key_shape = Shape <start = 2, end = 3> (keys)
    num_keys = Squeeze (key_shape)
    chunk = Shape <start = 1, end = 2> (query)
    num_queries = Squeeze (chunk)
    column = Range (zero, num_keys, one)
    row = Range (zero, num_queries, one)
    last_row = Sub (num_queries, one)
    back = Sub (last_row, row)
    moved_back = Mul (back, shift_attr)
    back_column = Unsqueeze (moved_back, axis_one)
    index_rows = Add (back_column, column)
    score_shape = Shape (by_content)
    index = Expand (index_rows, score_shape)
    by_position = GatherElements <axis = 3> (by_column, index)
    total = Add (by_content, by_position)
    scaled = Mul (total, scale_attr)
    masked = Add (scaled, mask)
    weights = Softmax <axis = -1> (masked)
    context = MatMul (weights, values)
    by_step = Transpose <perm = [0, 2, 1, 3]> (context)
    query_shape = Shape (query)
    y = Reshape (by_step, query_shape)
    kept_key = Slice (keys, chunk, end, axis_two)
    kept_value = Slice (values, chunk, end, axis_two)""",
)
