"""The operators of integer-only models as ONNX functions, in standard operators on integers.

The bits are those of `halfbyte.ops.integer_reference`. ONNX shifts unsigned integers only,
so a division by 2^n is Mod and Div, exact after the rest is taken off; `MatMul` multiplies int32
where both sides have 8 bits, for `MatMulInteger` may saturate there on CPUs without VNNI; and Where
stands for Clip, Max and Min, which ONNX Runtime 1.31 gets wrong for some int64 (Max of -2250876859
and -127).
"""

import onnx
from onnx import parser

from halfbyte.ops.integer_reference import NUM_EXPONENTIALS, ROOT_STEPS, UNSEEN
from halfbyte.ops.onnx_text import (
    FLOAT,
    INT8,
    INT16,
    INT32,
    INT64,
    LIMITS_8,
    LIMITS_16,
    NUMBERS,
    at_most,
    attribute,
    clip,
    number,
    round_quotient,
    wide,
    within,
)

_HEAD = '<domain: "halfbyte", opset_import: ["" : 21]>'


def _function(name: str, inputs: str, body: str, attributes: str = "") -> onnx.FunctionProto:
    listed = f"<{attributes}>" if attributes else ""
    return parser.parse_function(f"{_HEAD}\n{name} {listed} ({inputs}) => (y)\n{{{body}\n}}")


def integer_functions() -> list[onnx.FunctionProto]:
    """Functions of integer-only models; docs/integer-spec.md has their formulas."""
    return [_function(*parts) for parts in _FUNCTIONS]


_LINEAR_BODY = f"""
    bytes_w = Cast <to = {INT8}> (codes)
    codes_w = Transpose <perm = [1, 0]> (bytes_w)
    acc = MatMulInteger (x, codes_w)
    y = Add (acc, bias)"""

_DEQUANTIZE = f"""
    numbers = Cast <to = {FLOAT}> (x)
    y = Mul (numbers, scale)"""

_QUANTIZE_FEATURES = f"""
    low = Constant <value_float = -127.0> ()
    high = Constant <value_float = 127.0> ()
    centred = Sub (x, mean)
    scaled = Mul (centred, factor)
    rounded = Round (scaled)
    clipped = Clip (rounded, low, high)
    y = Cast <to = {INT8}> (clipped)"""

# Frames of patches from three strided slices each in time and frequency.
_PATCHES = (
    "\n    axes = Constant <value_ints = [1, 2]> ()\n    steps = Constant <value_ints = [2, 2]> ()"
    + "\n    three = Constant <value_ints = [3, 3]> ()"
    + f"\n    shape = Shape <start = 1, end = 3> (x)\n    x_wide = Cast <to = {INT32}> (x)"
    + "\n    last = Sub (shape, three)"
    + "".join(
        f"""
    start_{t}{f} = Constant <value_ints = [{t}, {f}]> ()
    after_{t}{f} = Constant <value_ints = [{t + 1}, {f + 1}]> ()
    end_{t}{f} = Add (last, after_{t}{f})
    part_{t}{f} = Slice (x_wide, start_{t}{f}, end_{t}{f}, axes, steps)"""
        for t in range(3)
        for f in range(3)
    )
    + "\n    joined = Concat <axis = 3> ("
    + ", ".join(f"part_{t}{f}" for t in range(3) for f in range(3))
    + f")\n    y = Cast <to = {INT8}> (joined)"
)

_DEPTHWISE = f"""
    x_int = Cast <to = {INT32}> (x)
    weight_int = Cast <to = {INT32}> (weight)
    zero = Constant <value_int = 0> ()
    one = Constant <value_int = 1> ()
    taps = Shape <start = 0, end = 1> (weight)
    taps_scalar = Squeeze (taps)
    frames = Shape <start = 1, end = 2> (x)
    frames_scalar = Squeeze (frames)
    past = Sub (frames_scalar, taps_scalar)
    num_out = Add (past, one)
    first = Range (zero, num_out, one)
    tap = Range (zero, taps_scalar, one)
    axis_one = Constant <value_ints = [1]> ()
    first_column = Unsqueeze (first, axis_one)
    index = Add (first_column, tap)
    windows = Gather <axis = 1> (x_int, index)
    products = Mul (windows, weight_int)
    axis_two = Constant <value_ints = [2]> ()
    sums = ReduceSum <keepdims = 0> (products, axis_two)
    y = Add (sums, bias)"""

_RESCALED = (
    NUMBERS
    + attribute("divisor")
    + wide("acc", "multipliers")
    + """
    product = Mul (acc_wide, multipliers_wide)"""
    + round_quotient("product", "divisor_attr", "rounded")
)
_REQUANTIZE = (
    _RESCALED + attribute("low") + number("high", 127) + clip("rounded", "low_attr", "high", INT8)
)
_REQUANTIZE_WIDE = _RESCALED + LIMITS_16 + clip("rounded", "low", "high", INT16)
_REQUANTIZE_ADD = (
    _RESCALED
    + LIMITS_16
    + wide("residual")
    + "\n    sum = Add (residual_wide, rounded)"
    + clip("sum", "low", "high", INT16)
)

_POWERS_OF_FOUR = ", ".join(str(4**h) for h in range(31))
_BOUNDS = ", ".join(str(1 << (60 - 2 * h)) for h in range(30))
_DIVISORS = ", ".join(str(1 << (45 - h)) for h in range(31))
_NORMALISED = (
    NUMBERS
    + attribute("epsilon")
    + attribute("divisor")
    + wide("x", "weight")
    + number("first_root", 1 << 31)
    + number("numerator", 1 << 61)
    + number("largest_factor", (1 << 31) - 1)
    + f"""
    last = Constant <value_ints = [-1]> ()
    bounds = Constant <value_ints = [{_BOUNDS}]> ()
    powers = Constant <value_ints = [{_POWERS_OF_FOUR}]> ()
    divisors = Constant <value_ints = [{_DIVISORS}]> ()
    shape = Shape (x)
    minus_one = Constant <value_int = -1> ()
    width = Gather <axis = 0> (shape, minus_one)
    total = ReduceSum <keepdims = 1> (x_wide, last)
    squared = Mul (x_wide, x_wide)
    squares = ReduceSum <keepdims = 1> (squared, last)
    by_width = Mul (squares, width)
    total_squared = Mul (total, total)
    spread = Sub (by_width, total_squared)
    v = Add (spread, epsilon_attr)
    is_below = Less (v, bounds)
    below = Cast <to = {INT64}> (is_below)
    h = ReduceSum <keepdims = 1> (below, last)
    power = Gather <axis = 0> (powers, h)
    u = Mul (v, power)
    quotient_0 = Div (u, first_root)
    sum_0 = Add (quotient_0, first_root)
    root_1 = Div (sum_0, two)"""
    + "".join(
        f"""
    quotient_{i} = Div (u, root_{i})
    sum_{i} = Add (quotient_{i}, root_{i})
    root_{i + 1} = Div (sum_{i}, two)"""
        for i in range(1, ROOT_STEPS)
    )
    + f"""
    inverse = Div (numerator, root_{ROOT_STEPS})"""
    + at_most("inverse", "largest_factor", "factor")
    + """
    scaled = Mul (x_wide, width)
    centred = Sub (scaled, total)
    normal_product = Mul (centred, factor)
    normal_divisor = Gather <axis = 0> (divisors, h)"""
    + round_quotient("normal_product", "normal_divisor", "z")
    + """
    weighted = Mul (z, weight_wide)
    product = Add (weighted, bias)"""
    + round_quotient("product", "divisor_attr", "rounded")
)
_LAYER_NORM = _NORMALISED + LIMITS_8 + clip("rounded", "low", "high", INT8)
_LAYER_NORM_WIDE = _NORMALISED + LIMITS_16 + clip("rounded", "low", "high", INT16)


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


_ATTENTION = (
    NUMBERS
    + LIMITS_8
    + wide("query", "exponentials")
    + "".join(
        attribute(name)
        for name in ("heads", "content_multiplier", "position_multiplier", "score_divisor")
    )
    + attribute("multiplier")
    + attribute("divisor")
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
    + clip("joined", "low", "high", INT8)
)

_FUNCTIONS = [
    ("IntLinear", "x, codes, bias", _LINEAR_BODY, "weight_bits"),
    ("QuantizeFeatures", "x, mean, factor", _QUANTIZE_FEATURES),
    ("Dequantize", "x, scale", _DEQUANTIZE),
    ("IntPatches", "x", _PATCHES),
    ("IntDepthwise", "x, weight, bias", _DEPTHWISE),
    ("Requantize", "acc, multipliers", _REQUANTIZE, "divisor, low"),
    ("RequantizeWide", "acc, multipliers", _REQUANTIZE_WIDE, "divisor"),
    ("RequantizeAdd", "acc, multipliers, residual", _REQUANTIZE_ADD, "divisor"),
    ("IntLayerNorm", "x, weight, bias", _LAYER_NORM, "epsilon, divisor"),
    ("IntLayerNormWide", "x, weight, bias", _LAYER_NORM_WIDE, "epsilon, divisor"),
    (
        "IntAttention",
        "query, content, position, exponentials, key, value, distances, valid",
        _ATTENTION,
        "heads, content_multiplier, position_multiplier, score_divisor, multiplier, divisor",
    ),
]
