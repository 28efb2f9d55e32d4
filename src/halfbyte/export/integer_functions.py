"""The operators of integer-only models as ONNX functions, in standard operators on integers.

The bits are those of `halfbyte.quant.integer_reference`. ONNX shifts unsigned integers only,
so a division by 2^n is Mod and Div, exact after the rest is taken off; `MatMul` multiplies int32
where both sides have 8 bits, for `MatMulInteger` may saturate there on CPUs without VNNI; and Where
stands for Clip, Max and Min, which ONNX Runtime 1.31 gets wrong for some int64 (Max of -2250876859
and -127).
"""

import onnx
from onnx import parser

from halfbyte.quant.integer_reference import NUM_EXPONENTIALS, ROOT_STEPS, UNSEEN

_HEAD = '<domain: "halfbyte", opset_import: ["" : 21]>'
_INT8, _INT16, _INT32 = onnx.TensorProto.INT8, onnx.TensorProto.INT16, onnx.TensorProto.INT32
_INT64, _FLOAT = onnx.TensorProto.INT64, onnx.TensorProto.FLOAT


def _round(product: str, divisor: str, out: str) -> str:
    """Lines that divide `product` by a power of two, to the nearest integer, ties to even."""
    return f"""
    {out}_rest = Mod ({product}, {divisor})
    {out}_multiple = Sub ({product}, {out}_rest)
    {out}_floor = Div ({out}_multiple, {divisor})
    {out}_twice = Add ({out}_rest, {out}_rest)
    {out}_is_more = Greater ({out}_twice, {divisor})
    {out}_is_tie = Equal ({out}_twice, {divisor})
    {out}_last_bit = Mod ({out}_floor, two)
    {out}_is_odd = Equal ({out}_last_bit, one)
    {out}_to_even = And ({out}_is_tie, {out}_is_odd)
    {out}_is_up = Or ({out}_is_more, {out}_to_even)
    {out}_up = Cast <to = {_INT64}> ({out}_is_up)
    {out} = Add ({out}_floor, {out}_up)"""


def _at_most(x: str, high: str, out: str) -> str:
    return f"""
    {out}_is_above = Greater ({x}, {high})
    {out} = Where ({out}_is_above, {high}, {x})"""


def _within(x: str, low: str, high: str, out: str) -> str:
    return f"""
    {out}_is_below = Less ({x}, {low})
    {out}_raised = Where ({out}_is_below, {low}, {x})""" + _at_most(f"{out}_raised", high, out)


def _clip(x: str, low: str, high: str, to: int) -> str:
    return _within(x, low, high, "clipped") + f"\n    y = Cast <to = {to}> (clipped)"


def _number(name: str, value: int) -> str:
    return f"\n    {name} = Constant <value_int = {value}> ()"


_NUMBERS = _number("one", 1) + _number("two", 2)


def _attribute(name: str) -> str:
    return f"\n    {name}_attr = Constant <value_int: int = @{name}> ()"


def _wide(*names: str) -> str:
    return "".join(f"\n    {name}_wide = Cast <to = {_INT64}> ({name})" for name in names)


def _function(name: str, inputs: str, body: str, attributes: str = "") -> onnx.FunctionProto:
    listed = f"<{attributes}>" if attributes else ""
    return parser.parse_function(f"{_HEAD}\n{name} {listed} ({inputs}) => (y)\n{{{body}\n}}")


def integer_functions() -> list[onnx.FunctionProto]:
    """Functions of integer-only models; docs/integer-spec.md has their formulas."""
    linear = [
        _function(f"IntLinearW{bits}", "x, codes, bias", _LINEAR_BODY) for bits in range(1, 9)
    ]
    return [*linear, *(_function(*parts) for parts in _FUNCTIONS)]


_LINEAR_BODY = f"""
    bytes_w = Cast <to = {_INT8}> (codes)
    codes_w = Transpose <perm = [1, 0]> (bytes_w)
    acc = MatMulInteger (x, codes_w)
    y = Add (acc, bias)"""

_DEQUANTIZE = f"""
    numbers = Cast <to = {_FLOAT}> (x)
    y = Mul (numbers, scale)"""

_QUANTIZE_FEATURES = f"""
    low = Constant <value_float = -127.0> ()
    high = Constant <value_float = 127.0> ()
    centred = Sub (x, mean)
    scaled = Mul (centred, factor)
    rounded = Round (scaled)
    clipped = Clip (rounded, low, high)
    y = Cast <to = {_INT8}> (clipped)"""

# Frames of patches from three strided slices each in time and frequency.
_PATCHES = (
    "\n    axes = Constant <value_ints = [1, 2]> ()\n    steps = Constant <value_ints = [2, 2]> ()"
    + "\n    three = Constant <value_ints = [3, 3]> ()"
    + f"\n    shape = Shape <start = 1, end = 3> (x)\n    x_wide = Cast <to = {_INT32}> (x)"
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
    + f")\n    y = Cast <to = {_INT8}> (joined)"
)

_DEPTHWISE = f"""
    x_int = Cast <to = {_INT32}> (x)
    weight_int = Cast <to = {_INT32}> (weight)
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
    _NUMBERS
    + _attribute("divisor")
    + _wide("acc", "multipliers")
    + """
    product = Mul (acc_wide, multipliers_wide)"""
    + _round("product", "divisor_attr", "rounded")
)
_REQUANTIZE = (
    _RESCALED
    + _attribute("low")
    + _number("high", 127)
    + _clip("rounded", "low_attr", "high", _INT8)
)
_LIMITS_16 = _number("low", -32767) + _number("high", 32767)
_REQUANTIZE_WIDE = _RESCALED + _LIMITS_16 + _clip("rounded", "low", "high", _INT16)
_REQUANTIZE_ADD = (
    _RESCALED
    + _LIMITS_16
    + _wide("residual")
    + "\n    sum = Add (residual_wide, rounded)"
    + _clip("sum", "low", "high", _INT16)
)

_TABLE = (
    _number("middle", 128)
    + _wide("x")
    + """
    index = Add (x_wide, middle)
    y = Gather <axis = 0> (entries, index)"""
)

_LIMITS_8 = _number("low", -127) + _number("high", 127)
_GLU = (
    _NUMBERS
    + _LIMITS_8
    + _attribute("multiplier")
    + _attribute("divisor")
    + _number("middle", 128)
    + _wide("x", "gates")
    + """
    value, gate = Split <axis = -1, num_outputs = 2> (x_wide)
    index = Add (gate, middle)
    opened = Gather <axis = 0> (gates_wide, index)
    gated = Mul (value, opened)
    product = Mul (gated, multiplier_attr)"""
    + _round("product", "divisor_attr", "rounded")
    + _clip("rounded", "low", "high", _INT8)
)

_POWERS_OF_FOUR = ", ".join(str(4**h) for h in range(31))
_BOUNDS = ", ".join(str(1 << (60 - 2 * h)) for h in range(30))
_DIVISORS = ", ".join(str(1 << (45 - h)) for h in range(31))
_NORMALISED = (
    _NUMBERS
    + _attribute("epsilon")
    + _attribute("divisor")
    + _wide("x", "weight")
    + _number("first_root", 1 << 31)
    + _number("numerator", 1 << 61)
    + _number("largest_factor", (1 << 31) - 1)
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
    below = Cast <to = {_INT64}> (is_below)
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
    + _at_most("inverse", "largest_factor", "factor")
    + """
    scaled = Mul (x_wide, width)
    centred = Sub (scaled, total)
    normal_product = Mul (centred, factor)
    normal_divisor = Gather <axis = 0> (divisors, h)"""
    + _round("normal_product", "normal_divisor", "z")
    + """
    weighted = Mul (z, weight_wide)
    product = Add (weighted, bias)"""
    + _round("product", "divisor_attr", "rounded")
)
_LAYER_NORM = _NORMALISED + _LIMITS_8 + _clip("rounded", "low", "high", _INT8)
_LAYER_NORM_WIDE = _NORMALISED + _LIMITS_16 + _clip("rounded", "low", "high", _INT16)


def _heads(x: str, out: str, perm: str = "0, 2, 1, 3") -> str:
    """(B, T, D) as int32 heads (B, H, T, D / H), or transposed."""
    return f"""
    {out}_int = Cast <to = {_INT32}> ({x})
    {out}_split = Reshape ({out}_int, by_head)
    {out} = Transpose <perm = [{perm}]> ({out}_split)"""


def _with_bias(bias: str, out: str) -> str:
    return (
        f"""
    {out}_bias = Cast <to = {_INT64}> ({bias})
    {out}_sum = Add (query_wide, {out}_bias)"""
        + _within(f"{out}_sum", "low", "high", f"{out}_clipped")
        + _heads(f"{out}_clipped", out)
    )


_ATTENTION = (
    _NUMBERS
    + _LIMITS_8
    + _wide("query", "exponentials")
    + "".join(
        _attribute(name)
        for name in ("heads", "content_multiplier", "position_multiplier", "score_divisor")
    )
    + _attribute("multiplier")
    + _attribute("divisor")
    + _number("unseen", UNSEEN)
    + _number("lowest", NUM_EXPONENTIALS - 1)
    + _number("zero", 0)
    + _number("room", 128)
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
    content_wide = Cast <to = {_INT64}> (content_dot)
    position_wide = Cast <to = {_INT64}> (position_dot)
    content_product = Mul (content_wide, content_multiplier_attr)
    position_product = Mul (position_wide, position_multiplier_attr)
    score_product = Add (content_product, position_product)"""
    + _round("score_product", "score_divisor_attr", "scores")
    + f"""
    valid_wide = Cast <to = {_INT64}> (valid)
    is_unseen = Equal (valid_wide, zero)
    middle_axes = Constant <value_ints = [1, 2]> ()
    is_unseen_key = Unsqueeze (is_unseen, middle_axes)
    seen = Where (is_unseen_key, unseen, scores)
    last_axis = Constant <value_ints = [-1]> ()
    largest = ReduceMax <keepdims = 1> (seen, last_axis)
    depth = Sub (largest, seen)"""
    + _at_most("depth", "lowest", "below")
    + f"""
    weights = Gather <axis = 0> (exponentials_wide, below)
    weights_int = Cast <to = {_INT32}> (weights)
    context = MatMul (weights_int, values)
    context_wide = Cast <to = {_INT64}> (context)
    total = ReduceSum <keepdims = 1> (weights, last_axis)
    numerator = Mul (multiplier_attr, room)
    factor = Div (numerator, total)
    product = Mul (context_wide, factor)
    whole_divisor = Mul (divisor_attr, room)"""
    + _round("product", "whole_divisor", "rounded")
    + """
    by_step = Transpose <perm = [0, 2, 1, 3]> (rounded)
    joined_shape = Shape (query)
    joined = Reshape (by_step, joined_shape)"""
    + _clip("joined", "low", "high", _INT8)
)

_FUNCTIONS = [
    ("QuantizeFeatures", "x, mean, factor", _QUANTIZE_FEATURES),
    ("Dequantize", "x, scale", _DEQUANTIZE),
    ("IntPatches", "x", _PATCHES),
    ("IntDepthwise", "x, weight, bias", _DEPTHWISE),
    ("Requantize", "acc, multipliers", _REQUANTIZE, "divisor, low"),
    ("RequantizeWide", "acc, multipliers", _REQUANTIZE_WIDE, "divisor"),
    ("RequantizeAdd", "acc, multipliers, residual", _REQUANTIZE_ADD, "divisor"),
    ("IntTable", "x, entries", _TABLE),
    ("IntGlu", "x, gates", _GLU, "multiplier, divisor"),
    ("IntLayerNorm", "x, weight, bias", _LAYER_NORM, "epsilon, divisor"),
    ("IntLayerNormWide", "x, weight, bias", _LAYER_NORM_WIDE, "epsilon, divisor"),
    (
        "IntAttention",
        "query, content, position, exponentials, key, value, distances, valid",
        _ATTENTION,
        "heads, content_multiplier, position_multiplier, score_divisor, multiplier, divisor",
    ),
]
