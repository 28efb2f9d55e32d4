"""Each operator of integer-only models: numpy = ONNX Runtime = engine on every instruction set."""

import numpy as np
import pytest
from isas import ISAS
from onnx import helper
from onnx_graphs import assert_bits, compiled, int4_tensor, model_of, run_reference

from halfbyte.ops import (
    dequantize,
    int_attention,
    int_depthwise,
    int_glu,
    int_layer_norm,
    int_linear,
    int_patches,
    int_table,
    quantize_features,
    requantize,
)
from halfbyte.ops.fixed_point import fixed_point

I8, I16, I32, I64 = np.int8, np.int16, np.int32, np.int64
EXTREMES = {I8: (-127, 127), I16: (-32767, 32767), I32: (-(2**31), 2**31 - 1)}
FILLS = ("random", "lowest", "highest", "zero", "small")


def make(rng, fill, shape, dtype=I8):
    low, high = EXTREMES[dtype]
    if fill == "random":
        return rng.integers(low, high, shape, endpoint=True).astype(dtype)
    if fill == "small":
        return rng.integers(-2, 3, shape).astype(dtype)
    return np.full(shape, {"lowest": low, "highest": high, "zero": 0}[fill], dtype)


def check(op, inputs, constants, attributes, expected, tmp_path):
    """`inputs` come when the graph runs, in order, then constants unless `order` says otherwise."""
    names = [*inputs, *constants]
    order = attributes.pop("order", names)
    node = helper.make_node(op, order, ["y"], domain="halfbyte", **attributes)
    model = model_of([node], inputs, ["y"], constants)
    in_ort = run_reference(model, inputs)["y"]
    assert in_ort.dtype == expected.dtype
    np.testing.assert_array_equal(in_ort, expected)
    assert_bits(compiled(model, tmp_path), inputs, expected, ISAS)


@pytest.fixture
def rng():
    return np.random.default_rng(11)


@pytest.mark.parametrize("shift", [1, 31, 45, 62])
@pytest.mark.parametrize("low", [-127, 0])
def test_requantize(rng, shift, low, tmp_path):
    acc = make(rng, "random", (4, 37), I32)
    acc[0] = rng.integers(-300, 300, 37)
    acc[1, :4] = [-(2**31), 2**31 - 1, 0, -1]
    multipliers = rng.integers(0, 2**31, 37).astype(I32)
    multipliers[:3] = 2**31 - 1
    expected = requantize.reference(acc, multipliers, shift, low)
    attributes = {"divisor": 1 << shift, "low": low}
    check("Requantize", {"acc": acc}, {"m": multipliers}, attributes, expected, tmp_path)


def test_rounding_is_half_to_even(tmp_path):
    acc = np.arange(-10, 11, dtype=I32)[None]
    expected = np.rint(acc / 4).astype(I8)
    np.testing.assert_array_equal(requantize.reference(acc, np.full(21, 1, I32), 2), expected)
    attributes = {"divisor": 4, "low": -127}
    check("Requantize", {"acc": acc}, {"m": np.full(21, 1, I32)}, attributes, expected, tmp_path)


@pytest.mark.parametrize("fill", FILLS)
def test_requantize_add(rng, fill, tmp_path):
    acc, residual = make(rng, "random", (2, 3, 20), I32), make(rng, fill, (2, 3, 20), I16)
    m = rng.integers(2**30, 2**31, 20).astype(I32)
    expected = requantize.reference_wide(acc, m, 46, residual)
    inputs = {"acc": acc, "residual": residual}
    attributes = {"divisor": 1 << 46, "order": ["acc", "m", "residual"]}
    check("RequantizeAdd", inputs, {"m": m}, attributes, expected, tmp_path)
    expected = requantize.reference_wide(acc, m, 46)
    check("RequantizeWide", {"acc": acc}, {"m": m}, {"divisor": 1 << 46}, expected, tmp_path)


@pytest.mark.parametrize("bits", [4, 8])
@pytest.mark.parametrize("fill", ["random", "lowest", "highest"])
def test_linear(rng, bits, fill, tmp_path):
    x, largest = make(rng, fill, (2, 3, 70)), 2 ** (bits - 1) - 1
    codes = rng.integers(-largest, largest, (19, 70), endpoint=True).astype(I8)
    bias = rng.integers(-(2**30), 2**30, 19, endpoint=True).astype(I32)
    expected = int_linear.reference(x, codes, bias)
    stored = int4_tensor("codes", codes) if bits == 4 else codes
    constants = {"codes": stored, "bias": bias}
    check("IntLinear", {"x": x}, constants, {"weight_bits": bits}, expected, tmp_path)


@pytest.mark.parametrize("fill", FILLS)
def test_depthwise(rng, fill, tmp_path):
    x, weight = make(rng, fill, (2, 9, 21)), make(rng, "random", (5, 21))
    bias = rng.integers(-(2**30), 2**30, 21).astype(I32)
    expected = int_depthwise.reference(x, weight, bias)
    check("IntDepthwise", {"x": x}, {"weight": weight, "bias": bias}, {}, expected, tmp_path)


def test_table_takes_every_code(rng, tmp_path):
    x = np.arange(-128, 128).astype(I8)[None]
    entries = make(rng, "random", 256)
    expected = int_table.reference(x, entries)
    np.testing.assert_array_equal(expected[0], entries)
    check("IntTable", {"x": x}, {"entries": entries}, {}, expected, tmp_path)


@pytest.mark.parametrize("fill", FILLS)
def test_glu(rng, fill, tmp_path):
    x = make(rng, fill, (2, 3, 26))
    gates = np.minimum(np.rint(2**15 / (1 + np.exp(-np.arange(-128, 128) / 16))), 32767).astype(I16)
    expected = int_glu.reference(x, gates, 2**31 - 1, 46)
    attributes = {"multiplier": 2**31 - 1, "divisor": 1 << 46}
    check("IntGlu", {"x": x}, {"gates": gates}, attributes, expected, tmp_path)


@pytest.mark.parametrize("fill", [*FILLS, "one_far_out"])
@pytest.mark.parametrize("width", [1, 16, 96, 512])
def test_layer_norm(rng, fill, width, tmp_path):
    x = make(rng, "small" if fill == "one_far_out" else fill, (5, width), I16)
    if fill == "one_far_out":
        x[:, 0] = 32767
    weight, shift = fixed_point(rng.normal(30.0, 10.0, width) * 2.0**-16)
    bias = np.rint(rng.normal(0, 20, width) * 2.0**shift).astype(I64)
    for op, high in (("IntLayerNorm", 127), ("IntLayerNormWide", 32767)):
        expected = int_layer_norm.reference(x, weight, bias, 40, shift, high)
        attributes = {"epsilon": 40, "divisor": 1 << shift}
        constants = {"weight": weight, "bias": bias}
        check(op, {"x": x}, constants, attributes, expected, tmp_path)


def test_layer_norm_of_the_widest_rows_cannot_overflow(rng, tmp_path):
    x = np.full((3, 32768), 32767, I16)
    x[0, ::2] = -32767
    x[1, 0] = -32767
    weight, bias = np.full(32768, 2**31 - 1, I32), np.full(32768, 1 << 60, I64)
    expected = int_layer_norm.reference(x, weight, bias, 1 << 60, 50)
    attributes = {"epsilon": 1 << 60, "divisor": 1 << 50}
    constants = {"weight": weight, "bias": bias}
    check("IntLayerNorm", {"x": x}, constants, attributes, expected, tmp_path)


def test_layer_norm_is_near_the_real_one(rng):
    x = rng.integers(-3000, 3000, (20, 192)).astype(I16)
    weight, bias = rng.normal(1.0, 0.2, 192), rng.normal(0.0, 0.2, 192)
    scale = 4 / 32767
    w, shift = fixed_point(weight / scale * 2.0**-16)
    b = np.rint(bias / scale * 2.0**shift).astype(I64)
    y = int_layer_norm.reference(x, w, b, 1, shift, 32767) * scale
    centred = x - x.mean(axis=1, keepdims=True)
    real = centred / np.sqrt((centred**2).mean(axis=1, keepdims=True)) * weight + bias
    assert np.abs(y - real).max() < 2 * scale


def test_inverse_root_is_as_near_as_31_bits_allow(rng):
    for v in [1, 2, 3, 4, 5, 2**60 - 1, 2**60, 2**61, *rng.integers(1, 2**61, 200).tolist()]:
        f, h = int_layer_norm.inverse_root(v)
        assert f * 2.0**h / 2.0**61 == pytest.approx(v**-0.5, rel=2.0**-29)


@pytest.mark.parametrize("fill", FILLS)
@pytest.mark.parametrize(("queries", "keys"), [(3, 3), (3, 11), (17, 33), (40, 70)])
@pytest.mark.parametrize("is_known", [True, False])
def test_attention(rng, fill, queries, keys, is_known, tmp_path):
    """Up to 16 queries are taken together; distances that are known are packed beforehand."""
    batch, width, heads = 2, 24, 4
    query = make(rng, fill, (batch, queries, width))
    key, value = (make(rng, "random", (batch, keys, width)) for _ in range(2))
    content, position = (make(rng, "random", width) for _ in range(2))
    distances = make(rng, "random", (keys + queries - 1, width))
    valid = rng.integers(0, 2, (batch, keys)).astype(I8)
    valid[:, -1] = 1
    valid[1] = 0  # where nothing may be seen, all is seen alike
    multipliers, score_shift = (1 << 30, 1234567890), 41
    expected = int_attention.reference(
        query, (content, position), key, value, distances, valid,
        multipliers, score_shift, 2**31 - 1, 31, heads,
    )  # fmt: skip
    inputs = {"query": query, "key": key, "value": value, "valid": valid}
    constants = {
        "content": content, "position": position, "exponentials": int_attention.exponentials(),
    }  # fmt: skip
    (constants if is_known else inputs)["distances"] = distances
    attributes = {
        "heads": heads,
        "content_multiplier": multipliers[0],
        "position_multiplier": multipliers[1],
        "score_divisor": 1 << score_shift,
        "multiplier": 2**31 - 1,
        "divisor": 1 << 31,
        "order": ["query", "content", "position", "exponentials", "key", "value", "distances",
                  "valid"],
    }  # fmt: skip
    check("IntAttention", inputs, constants, attributes, expected, tmp_path)


@pytest.mark.parametrize(("frames", "bins", "channels"), [(3, 3, 1), (9, 12, 1), (8, 7, 5)])
def test_patches(rng, frames, bins, channels, tmp_path):
    x = make(rng, "random", (2, frames, bins, channels))
    expected = int_patches.reference(x)
    assert expected.shape == (2, (frames - 1) // 2, (bins - 1) // 2, 9 * channels)
    np.testing.assert_array_equal(expected[:, 0, 0].reshape(2, 3, 3, channels), x[:, :3, :3])
    np.testing.assert_array_equal(
        expected[:, -1, -1, -channels:], x[:, (frames - 1) // 2 * 2, (bins - 1) // 2 * 2]
    )
    check("IntPatches", {"x": x}, {}, {}, expected, tmp_path)


def test_features_and_numbers(rng, tmp_path):
    x = rng.normal(10, 50, (1, 4, 8)).astype(np.float32)
    mean, factor = rng.normal(10, 2, 8).astype(np.float32), np.full(8, 5.3, np.float32)
    codes = quantize_features.reference(x, mean, factor)
    constants = {"mean": mean, "factor": factor}
    check("QuantizeFeatures", {"x": x}, constants, {}, codes, tmp_path)
    for dtype in (I8, I16):
        values = make(rng, "random", (3, 5), dtype)
        expected = dequantize.reference(values, np.float32(0.123))
        constants = {"scale": np.float32([0.123])}
        check("Dequantize", {"x": values}, constants, {}, expected, tmp_path)
