"""Quantised operators: every instruction set gives the bits of the numpy reference."""

import numpy as np
import pytest
from kernel_cases import (
    CODE_FILLS,
    FLOAT_FILLS,
    SHAPES,
    Guarded,
    generator,
    make_codes,
    make_floats,
    unaligned,
)
from operator_calls import packed, run

from halfbyte import _core
from halfbyte.errors import InputError, UsageError
from halfbyte.ops import embedding, matmul_codes
from halfbyte.ops import linear as linear_op
from halfbyte.quant import reference

kernels = _core.kernels

ALL_BITS = range(1, 9)
WIDTHS = [(4, 8), (8, 8), (4, 4)]  # weight bits, activation bits


def make_layer(bits, n, k):
    codes = make_codes("random", bits, (n, k), is_weight=True)
    rng = generator("layer", bits, n, k)
    scales = np.abs(rng.standard_normal(n)).astype(np.float16) + np.float16(2**-14)
    return codes, scales, rng.standard_normal(n).astype(np.float16)


@pytest.mark.parametrize("fill", FLOAT_FILLS)
@pytest.mark.parametrize("bits", [4, 8])
@pytest.mark.parametrize("shape", [(1, 1), (3, 15), (2, 16), (3, 17), (2, 64), (2, 65), (5, 144)])
def test_quantize_rows_equals_reference(isa, shape, bits, fill):
    x = make_floats(fill, shape)
    codes, scales = Guarded(shape, np.int8), Guarded(shape[:1], np.float32)
    kernels.quantize_rows(x, reference.largest_code(bits), codes.view, scales.view, isa)
    codes.assert_intact()
    scales.assert_intact()
    expected_codes, expected_scales = reference.quantize_rows(x, bits)
    np.testing.assert_array_equal(codes.view, expected_codes)
    np.testing.assert_array_equal(scales.view, expected_scales)


def near_ties(scale, qmax):
    """A row whose quotients by `scale` lie within some ulps of halves between codes."""
    halves = np.arange(-qmax, qmax, dtype=np.float32) + np.float32(0.5)
    x = (np.tile(halves, 33) * scale).view(np.int32)
    x += np.repeat(np.arange(-16, 17, dtype=np.int32), len(halves))
    row = x.view(np.float32)
    row[np.abs(row) > scale * qmax] = 0
    return np.append(row, scale * np.float32(qmax)).astype(np.float32)


@pytest.mark.parametrize("bits", [4, 8])
def test_codes_near_ties_are_those_of_the_division(isa, bits):
    qmax = reference.largest_code(bits)
    exponents = np.array([-106, -100, -1, 0, 1, 100, 120])
    mantissas = generator("scales", bits).uniform(1, 2, (40, 1))
    rows = [near_ties(s, qmax) for s in (mantissas * 2.0**exponents).astype(np.float32).flat]
    x = np.stack(rows)
    codes, scales = np.empty(x.shape, np.int8), np.empty(len(x), np.float32)
    kernels.quantize_rows(x, qmax, codes, scales, isa)
    expected_codes, expected_scales = reference.quantize_rows(x, bits)
    np.testing.assert_array_equal(scales, expected_scales)
    np.testing.assert_array_equal(codes, expected_codes)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("column", [0, 15, 16])
def test_rows_that_are_not_finite_are_refused(isa, value, column):
    x = np.zeros((3, 17), np.float32)
    x[1, column] = value
    codes, scales = np.empty((3, 17), np.int8), np.empty(3, np.float32)
    with pytest.raises(InputError, match=r"row 1 .* NaN or infinity"):
        kernels.quantize_rows(x, 127, codes, scales, isa)
    with pytest.raises(InputError, match="row 1 "):
        reference.quantize_rows(x, 8)


def sums(codes_x, weights, isa=""):
    """What IntLinear gives without a bias: exact sums (M, N) int32."""
    return run("IntLinear", codes_x, weights, np.zeros(weights[1][0], np.int32), isa=isa)


def linear(x, layer, *more, isa="", bits=4, act_bits=8, **attributes):
    codes, scales, bias = layer
    inputs = x, packed(codes, bits), scales.astype(np.float32), bias.astype(np.float32), *more
    return run("Linear", *inputs, isa=isa, activation_bits=act_bits, **attributes)


def assert_same_bits(actual, expected):
    np.testing.assert_array_equal(actual.view(np.int32), expected.view(np.int32))


@pytest.mark.parametrize("fill", CODE_FILLS)
@pytest.mark.parametrize("bits", ALL_BITS)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_int32_sums_equal_reference(isa, shape, bits, fill):
    m, n, k = shape
    codes_x = unaligned(make_codes(fill, 8, (m, k), is_weight=False))
    codes_w = make_codes(fill, bits, (n, k), is_weight=True)
    acc = sums(codes_x, packed(codes_w, bits), isa)
    np.testing.assert_array_equal(acc, matmul_codes.reference(codes_x, codes_w))


@pytest.mark.parametrize("bits", ALL_BITS)
def test_packed_weights_may_lie_off_a_vector_boundary(isa, bits):
    codes_x = make_codes("random", 8, (5, 40), is_weight=False)
    codes_w = make_codes("random", bits, (70, 40), is_weight=True)
    name, shape, weights = packed(codes_w, bits)
    acc = sums(codes_x, (name, shape, unaligned(np.asarray(weights))), isa)
    np.testing.assert_array_equal(acc, matmul_codes.reference(codes_x, codes_w))


LARGEST_K = [(2, 2**23 - 1), (4, 2**21 - 1), (7, 2**18 - 1), (8, 2**17 - 1)]


@pytest.mark.parametrize(("bits", "largest_k"), LARGEST_K)
def test_the_largest_k_does_not_overflow(isa, bits, largest_k):
    lowest = -(2 ** (bits - 1))
    k = largest_k // 2  # a bias takes as much again
    codes_x, codes_w = np.full((1, k), -128, np.int8), np.full((1, k), lowest, np.int8)
    assert sums(codes_x, packed(codes_w, bits), isa)[0, 0] == 128 * -lowest * k
    x, one, zero = np.full((1, largest_k), 127, np.float32), np.ones(1), np.zeros(1)
    codes_w = np.full((1, largest_k), lowest, np.int8)
    y = linear(x, (codes_w, one, zero), isa=isa, bits=bits)
    assert y[0, 0] == np.float32(127 * lowest * largest_k)


@pytest.mark.parametrize("k", [131064, 131080])
def test_sums_of_many_inputs_are_exact_in_every_tile(isa, k):
    codes_x = np.tile(np.array([-128, 127], np.int8)[:, None], k)
    codes_w = np.tile(np.array([-8, 7], np.int8)[:, None], (32, k))
    acc = sums(codes_x, packed(codes_w, 4), isa)
    np.testing.assert_array_equal(acc, np.tile([[1024 * k, -896 * k], [-1016 * k, 889 * k]], 32))


@pytest.mark.parametrize(("bits", "largest_k"), LARGEST_K)
def test_a_larger_k_is_refused(bits, largest_k):
    codes = np.ones((1, largest_k + 1), np.int8)
    layer = codes, np.ones(1), np.zeros(1)
    with pytest.raises(InputError, match="could overflow int32"):
        linear(codes.astype(np.float32), layer, bits=bits)
    half = np.ones((1, largest_k // 2 + 1), np.int8)
    with pytest.raises(InputError, match="could overflow int32"):
        sums(half, packed(half, bits))


@pytest.mark.parametrize("fill", FLOAT_FILLS)
@pytest.mark.parametrize(("bits", "act_bits"), WIDTHS)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_linear_equals_reference(isa, shape, bits, act_bits, fill):
    m, n, k = shape
    x, layer = make_floats(fill, (m, k)), make_layer(bits, n, k)
    y = linear(x, layer, isa=isa, bits=bits, act_bits=act_bits)
    assert_same_bits(y, linear_op.reference(x, *layer, act_bits))


@pytest.mark.parametrize("act_bits", [4, 8])
@pytest.mark.parametrize(
    ("activation", "residual"),  # the compile step joins no residual to a gate
    [("glu", False), *((name, r) for name in ("", "silu", "relu") for r in (False, True))],
)
@pytest.mark.parametrize("shape", [(1, 32, 40), (3, 64, 24), (9, 160, 96), (5, 38, 33)], ids=str)
def test_fused_epilogues_equal_the_operators_one_by_one(isa, shape, activation, residual, act_bits):
    m, n, k = shape
    x, layer = make_floats("random", (m, k)), make_layer(4, n, k)
    expected = linear(x, layer, isa=isa, act_bits=act_bits)
    if activation:
        expected = run(activation.capitalize(), expected, isa=isa)
    before = make_floats("random", expected.shape)
    more = [before] if residual else []
    attributes = {"activation": activation, "factor": 0.5, "act_bits": act_bits}
    fused = linear(x, layer, *more, isa=isa, **attributes)
    if residual:
        expected = before + expected * np.float32(0.5)
    assert_same_bits(fused, expected)


def test_a_residual_may_be_the_output(isa):
    x, layer = make_floats("random", (6, 40)), make_layer(4, 70, 40)
    before = make_floats("random", (6, 70))
    apart, over = (
        linear(x, layer, before, isa=isa, activation="silu", factor=1.0, in_place=in_place)
        for in_place in (False, True)
    )
    np.testing.assert_array_equal(over, apart)


@pytest.mark.parametrize(("bits", "act_bits"), WIDTHS)
def test_linear_train_equals_reference(isa, bits, act_bits):
    m, n, k = 9, 50, 71
    x = make_floats("random", (m, k))
    codes, scales, bias = make_layer(bits, n, k)
    out = Guarded((m, n), np.float32)
    values_x = Guarded((m, k), np.float32)
    s, b = scales.astype(np.float32), bias.astype(np.float32)
    kernels.linear_train(x, codes, bits, act_bits, s, b, out.view, values_x.view, isa)
    out.assert_intact()
    values_x.assert_intact()
    expected_codes, expected_scales = reference.quantize_rows(x, act_bits)
    np.testing.assert_array_equal(out.view, linear_op.reference(x, codes, scales, bias, act_bits))
    np.testing.assert_array_equal(values_x.view, expected_codes * expected_scales[:, None])


def test_rows_do_not_influence_each_other(isa):
    x, layer = make_floats("random", (11, 144)), make_layer(4, 48, 144)
    together = linear(x, layer, isa=isa)
    for row in range(11):
        alone = linear(x[row : row + 1], layer, isa=isa)
        np.testing.assert_array_equal(together[row], alone[0])


@pytest.mark.parametrize("bits", ALL_BITS)
@pytest.mark.parametrize("d", [1, 16, 37])
def test_embedding_equals_reference(bits, d):
    codes, scales, _ = make_layer(bits, 35, d)
    ids = np.array([0, 34, 5, 5], np.int64)
    rows = run("Embedding", ids, packed(codes, bits), scales.astype(np.float32))
    np.testing.assert_array_equal(rows, embedding.reference(ids, codes, scales))


@pytest.mark.parametrize("bad_id", [-1, 35])
def test_ids_outside_the_table_are_refused(bad_id):
    codes, scales, _ = make_layer(4, 35, 8)
    ids = np.array([bad_id], np.int64)
    with pytest.raises(InputError, match=f"token id {bad_id} is out of range; expected 0..34"):
        run("Embedding", ids, packed(codes, 4), scales.astype(np.float32))
    with pytest.raises(InputError, match=r"expected 0\.\.34"):
        embedding.reference(ids, codes, scales)


def test_what_an_operator_does_not_take_is_refused():
    x = np.zeros(3, np.float32)
    with pytest.raises(UsageError, match="no operator 'Fly'"):
        run("Fly", x)
    with pytest.raises(UsageError, match="Exp does not take int64"):
        run("Exp", np.zeros(3, np.int64))
    with pytest.raises(InputError, match="another size"):
        run("Embedding", np.zeros(1, np.int64), ("packed4", (35, 8), b"few"), x)
