"""Lines of ONNX text that several operators on integers share.

ONNX shifts unsigned integers only, so a division by 2^n is Mod and Div, exact after the rest is
taken off; `MatMul` multiplies int32 where both sides have 8 bits, for `MatMulInteger` may saturate
there on CPUs without VNNI; and Where stands for Clip, Max and Min, which ONNX Runtime 1.31 gets
wrong for some int64 (Max of -2250876859 and -127).
"""

FLOAT, INT8, INT16, INT32, INT64 = 1, 3, 5, 6, 7  # onnx.TensorProto's numbers


def round_quotient(product: str, divisor: str, out: str) -> str:
    """Divide `product` by a power of two, to the nearest integer, ties to even."""
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
    {out}_up = Cast <to = {INT64}> ({out}_is_up)
    {out} = Add ({out}_floor, {out}_up)"""


def at_most(x: str, high: str, out: str) -> str:
    """The smaller of two values."""
    return f"""
    {out}_is_above = Greater ({x}, {high})
    {out} = Where ({out}_is_above, {high}, {x})"""


def within(x: str, low: str, high: str, out: str) -> str:
    """A value clipped to low .. high."""
    return f"""
    {out}_is_below = Less ({x}, {low})
    {out}_raised = Where ({out}_is_below, {low}, {x})""" + at_most(f"{out}_raised", high, out)


def clip(x: str, low: str, high: str, to: int) -> str:
    """The output y: x clipped to low .. high, in the type `to`."""
    return within(x, low, high, "clipped") + f"\n    y = Cast <to = {to}> (clipped)"


def number(name: str, value: int) -> str:
    """A constant of int64."""
    return f"\n    {name} = Constant <value_int = {value}> ()"


def attribute(name: str) -> str:
    """The whole number of an attribute, as `<name>_attr`."""
    return f"\n    {name}_attr = Constant <value_int: int = @{name}> ()"


def wide(*names: str) -> str:
    """Inputs as int64, each as `<name>_wide`."""
    return "".join(f"\n    {name}_wide = Cast <to = {INT64}> ({name})" for name in names)


NUMBERS = number("one", 1) + number("two", 2)  # what `round_quotient` reads
LIMITS_8 = number("low", -127) + number("high", 127)
LIMITS_16 = number("low", -32767) + number("high", 32767)
