"""Float operators: every instruction set gives the bits of the numpy reference, near the truth."""

import float_reference
import numpy as np
import pytest
from kernel_cases import SHAPES, Guarded, generator, make_codes, unaligned
from operator_calls import packed, run

from halfbyte import _core

kernels = _core.kernels

EPSILON = 2.0**-24  # unit roundoff of float32
UNARY = ["exp", "log", "sigmoid", "silu", "tanh", "relu"]
WIDTHS = [1, 15, 16, 17, 36, 64, 145]


def assert_same_bits(actual, expected):
    np.testing.assert_array_equal(actual.view(np.int32), expected.view(np.int32))


def random_rows(name, rows, d, size=3.0):
    x = generator(name, rows, d).standard_normal((rows, d)) * size
    return unaligned(x.astype(np.float32))


def unary_inputs(name):
    edges = [0, -0.0, 1, -1, 1e-45, -1e-45, 1e-38, 1e-30, 87, -87, 87.01, -87.01, 88, 88.01, 3e38]
    many = generator(name).uniform(-95, 95, 5000)
    small = generator(name, "small").standard_normal(5000) * np.logspace(-8, 1, 5000)
    x = np.concatenate([edges, many, small]).astype(np.float32)
    return unaligned(np.abs(x) if name == "log" else x)


def run_unary(name, x, isa):
    return run(name.capitalize(), x, isa=isa)


@pytest.mark.parametrize("name", UNARY)
def test_unary_bits(isa, name):
    x = unary_inputs(name)
    with np.errstate(all="ignore"):
        assert_same_bits(run_unary(name, x, isa), getattr(float_reference, name)(x))


@pytest.mark.parametrize("count", WIDTHS)
@pytest.mark.parametrize("name", UNARY)
def test_unary_of_any_length(isa, name, count):
    x = np.abs(random_rows(name, 1, count)[0])
    assert_same_bits(run_unary(name, x, isa), getattr(float_reference, name)(x))
    in_place = run(name.capitalize(), x, isa=isa, in_place=True)
    assert_same_bits(in_place, getattr(float_reference, name)(x))


# name -> (truth in float64, largest error in units of EPSILON relative to the scale beside it)
TRUTH = {
    "exp": (np.exp, 4, lambda y: y),
    "log": (np.log, 4, np.abs),
    "sigmoid": (lambda x: 1 / (1 + np.exp(-x)), 6, lambda y: y),
    "silu": (lambda x: x / (1 + np.exp(-x)), 8, np.abs),
    "tanh": (np.tanh, 4, lambda y: np.ones_like(y)),
}


@pytest.mark.parametrize("name", sorted(TRUTH))
def test_unary_is_near_the_truth(name):
    x = unary_inputs(name)
    x = x[(np.abs(x) <= 87) & (x != 0)] if name != "log" else x[x >= 2.0**-126]
    function, ulps, scale = TRUTH[name]
    truth = function(x.astype(np.float64))
    error = np.abs(run_unary(name, x, "portable") - truth)
    bound = ulps * EPSILON * scale(truth) + 2.0**-149
    assert (error <= bound).all(), (x[error > bound], (error / bound).max())


def test_limits_of_exp_and_log(isa):
    x = np.array([-1e9, -np.inf, np.inf, 1e9], np.float32)
    assert run_unary("exp", x, isa).tolist() == [0, 0, np.inf, np.inf]
    y = run_unary("log", np.array([0, -0.0, np.inf, -1, np.nan], np.float32), isa)
    assert y[:3].tolist() == [-np.inf, -np.inf, np.inf]
    assert np.isnan(y[3:]).all()
    assert np.isnan(run_unary("exp", np.full(3, np.nan, np.float32), isa)).all()


@pytest.mark.parametrize("d", WIDTHS)
@pytest.mark.parametrize("op", ["Softmax", "LogSoftmax"])
def test_softmax_bits_and_error(isa, op, d):
    name = {"Softmax": "softmax", "LogSoftmax": "log_softmax"}[op]
    x = random_rows(name, 3, d)
    x[1, ::2] -= np.float32(1e9)  # a masked row
    y = run(op, x, isa=isa)
    assert_same_bits(y, getattr(float_reference, name)(x))
    wide = x.astype(np.float64)
    truth = wide - wide.max(axis=1, keepdims=True)
    truth -= np.log(np.exp(truth).sum(axis=1, keepdims=True))
    # A sum of d terms in 16 lanes takes d / 16 + 4 roundings; exp, log and division a few more.
    bound = (d / 16 + 16) * EPSILON
    if op == "Softmax":
        assert (np.abs(y - np.exp(truth)) <= bound * np.exp(truth) + 2.0**-125).all()
    else:
        assert (np.abs(y - truth) <= bound * (1 + np.abs(truth))).all()


@pytest.mark.parametrize("d", WIDTHS)
def test_layer_norm_bits_and_error(isa, d):
    x = random_rows("layer_norm", 3, d)
    weight, bias = random_rows("parameters", 2, d)
    parameters = unaligned(weight), unaligned(bias)
    y = run("LayerNormalization", x, *parameters, isa=isa, epsilon=1e-5)
    assert_same_bits(y, float_reference.layer_norm(x, weight, bias, 1e-5))
    wide = x.astype(np.float64)
    centred = wide - wide.mean(axis=1, keepdims=True)
    factor = 1 / np.sqrt(wide.var(axis=1, keepdims=True) + np.float32(1e-5))
    truth = centred * factor * weight + bias
    # The mean's error, d / 16 + 5 roundings of values up to max|x|, passes through the factor.
    scale = (np.abs(wide).max(axis=1, keepdims=True) * factor + 1) * np.abs(weight) + np.abs(truth)
    assert (np.abs(y - truth) <= (d / 16 + 16) * EPSILON * scale).all()


@pytest.mark.parametrize("d", WIDTHS)
def test_glu_bits(isa, d):
    x = random_rows("glu", 3, 2 * d)
    assert_same_bits(run("Glu", x, isa=isa), float_reference.glu(x))


@pytest.mark.parametrize("count", WIDTHS)
def test_add_mul_bits(isa, count):
    a, b = random_rows("add", 2, count)
    for op, expected in (("Add", a + b), ("Mul", a * b)):
        for in_place in (False, True):
            assert_same_bits(run(op, a, b, isa=isa, in_place=in_place), expected)


@pytest.mark.parametrize("d", WIDTHS)
@pytest.mark.parametrize(("frames", "taps"), [(1, 1), (4, 15), (9, 8)])
def test_depthwise_conv_bits_and_error(isa, frames, taps, d):
    x = random_rows("conv", frames + taps - 1, d)
    weight, bias = random_rows("taps", taps, d), random_rows("bias", 1, d)[0]
    (y,) = run("DepthwiseConv", x[None], weight, bias, isa=isa)
    assert_same_bits(y, float_reference.depthwise_conv(x, weight, bias))
    windows = np.lib.stride_tricks.sliding_window_view(x.astype(np.float64), taps, axis=0)
    terms = windows * weight.T
    error = np.abs(y - (terms.sum(axis=-1) + bias))
    assert (error <= (taps + 2) * EPSILON * (np.abs(terms).sum(axis=-1) + np.abs(bias))).all()


GEMM_SHAPES = [(1, 1, 1), (3, 17, 5), (4, 16, 130), (5, 31, 16), (8, 32, 36), (9, 33, 257)]
GEMM_SHAPES += [(17, 70, 64), (2, 8, 0), (7, 36, 128), (6, 48, 129)]


@pytest.mark.parametrize("order", ["plain", "b_transposed", "a_transposed", "padded"])
@pytest.mark.parametrize("shape", GEMM_SHAPES, ids=str)
def test_gemm_f32_bits_and_error(isa, shape, order):
    m, n, k = shape
    a, b = random_rows("a", m, k), random_rows("b", k, n)
    if order == "b_transposed":
        b = np.ascontiguousarray(b.T).T
    elif order == "a_transposed":
        a = np.ascontiguousarray(a.T).T
    elif order == "padded":
        a = np.pad(a, ((0, 0), (2, 3)))[:, 2 : 2 + k]
        b = np.pad(b, ((0, 0), (1, 4)))[:, 1 : 1 + n]
    out = Guarded((m, n), np.float32)
    kernels.gemm_f32(a, b, out.view, isa)
    out.assert_intact()
    assert_same_bits(out.view, float_reference.gemm(a, b))
    wide_a, wide_b = a.astype(np.float64), b.astype(np.float64)
    bound = (k + 1) * EPSILON * (np.abs(wide_a) @ np.abs(wide_b))
    assert (np.abs(out.view - wide_a @ wide_b) <= bound).all()


@pytest.mark.parametrize("group", [1, 5, 8, 24, 0])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_weight_only_linear_bits(isa, shape, group):
    m, n, k = shape
    group = group if group and k % group == 0 else k
    codes = make_codes("random", 4, (n, k), is_weight=True)
    x, bias = random_rows("weight only", m, k), random_rows("bias", 1, n)[0]
    scales = np.abs(random_rows("scales", n, k // group, 0.02))
    weight = codes.astype(np.float32) * np.repeat(scales, group, axis=1)
    y = run("WeightOnlyLinear", x, packed(codes, 4), scales, bias, isa=isa)
    assert_same_bits(y, float_reference.gemm(x, weight.T) + bias)


def test_denormals_and_rounding_do_not_follow_the_caller(isa):
    torch = pytest.importorskip("torch", reason="torch can set the denormal mode")
    tiny = np.full(17, 1e-40, np.float32)
    doubled = tiny + tiny
    assert torch.set_flush_denormal(True)
    try:
        out = run("Add", tiny, tiny, isa=isa)
        still_flushed = float(torch.tensor([1e-40]) * 2)
    finally:
        torch.set_flush_denormal(False)
    assert_same_bits(out, doubled)
    assert still_flushed == 0  # the caller's mode came back
