"""What the compile step fuses of integer-only models: numpy = engine on every instruction set."""

import numpy as np
import pytest
from isas import ISAS
from onnx import helper
from onnx_graphs import assert_bits, compiled, int4_tensor, model_of

from halfbyte.export.graph_ir import read_onnx
from halfbyte.export.lower import lower
from halfbyte.ops import int_depthwise, int_layer_norm, int_linear, int_table, requantize
from halfbyte.ops.fixed_point import fixed_point

I8, I16, I32, I64 = np.int8, np.int16, np.int32, np.int64
SHIFTS = [31, 32, 40, 46]
SHAPES = [(1, 9, 33), (5, 64, 192), (9, 70, 19), (8, 192, 64)]  # rows, inputs, outputs


def node(op, inputs, output="y", **attributes):
    return helper.make_node(op, inputs.split(), [output], domain="halfbyte", **attributes)


def check(nodes, inputs, constants, operators, expected, tmp_path):
    model = model_of(nodes, inputs, ["y"], constants)
    graph = read_onnx(model, "encoder")
    lower(graph)
    assert [found.op for found in graph.nodes] == operators
    assert_bits(compiled(model, tmp_path), inputs, expected, ISAS)


@pytest.fixture
def rng():
    return np.random.default_rng(17)


def codes_like(rng, *shape):
    return rng.integers(-127, 127, shape, endpoint=True).astype(I8)


def layer(rng, shape, bits):
    """Inputs, constants and exact sums of a layer."""
    rows, k, n = shape
    x, largest = codes_like(rng, rows, k), 2 ** (bits - 1) - 1
    codes = rng.integers(-largest, largest, (n, k), endpoint=True).astype(I8)
    bias = rng.integers(-(2**20), 2**20, n).astype(I32)
    bias[0] = 2**30
    constants = {
        "codes": int4_tensor("codes", codes) if bits == 4 else codes,
        "bias": bias,
        "m": rng.integers(2**24, 2**31, n).astype(I32),
    }
    return x, constants, int_linear.reference(x, codes, bias)


@pytest.mark.parametrize("shift", SHIFTS)
@pytest.mark.parametrize("bits", [4, 8])
@pytest.mark.parametrize("shape", SHAPES)
def test_codes_of_a_layer(rng, shape, bits, shift, tmp_path):
    x, constants, acc = layer(rng, shape, bits)
    entries = codes_like(rng, 256)
    for low, has_table in ((-127, False), (0, False), (-127, True)):
        nodes = [
            node("IntLinear", "x codes bias", "acc", weight_bits=bits),
            node("Requantize", "acc m", "c" if has_table else "y", divisor=1 << shift, low=low),
        ]
        expected = requantize.reference(acc, constants["m"], shift, low)
        given = dict(constants)
        if has_table:
            nodes.append(node("IntTable", "c entries"))
            expected = int_table.reference(expected, entries)
            given["entries"] = entries
        check(nodes, {"x": x}, given, ["IntLinearCodes"], expected, tmp_path)


@pytest.mark.parametrize("shift", SHIFTS)
@pytest.mark.parametrize("bits", [4, 8])
@pytest.mark.parametrize("shape", SHAPES)
def test_a_layer_and_its_residual(rng, shape, bits, shift, tmp_path):
    x, constants, acc = layer(rng, shape, bits)
    residual = rng.integers(-32767, 32768, acc.shape).astype(I16)
    linear = node("IntLinear", "x codes bias", "acc", weight_bits=bits)
    expected = requantize.reference_wide(acc, constants["m"], shift, residual)
    nodes = [linear, node("RequantizeAdd", "acc m r", divisor=1 << shift)]
    operators = ["IntLinearWide"]
    check(nodes, {"x": x, "r": residual}, constants, operators, expected, tmp_path)
    expected = requantize.reference_wide(acc, constants["m"], shift)
    nodes = [linear, node("RequantizeWide", "acc m", divisor=1 << shift)]
    check(nodes, {"x": x}, constants, operators, expected, tmp_path)


@pytest.mark.parametrize("shift", SHIFTS)
@pytest.mark.parametrize("width", [21, 64])
def test_a_convolution_over_time(rng, width, shift, tmp_path):
    x, weight = codes_like(rng, 2, 9, width), codes_like(rng, 5, width)
    constants = {"weight": weight, "bias": rng.integers(-(2**20), 2**20, width).astype(I32)}
    acc = int_depthwise.reference(x, weight, constants["bias"])
    constants["m"] = rng.integers(2**24, 2**31, width).astype(I32)
    nodes = [
        node("IntDepthwise", "x weight bias", "acc"),
        node("RequantizeWide", "acc m", divisor=1 << shift),
    ]
    expected = requantize.reference_wide(acc, constants["m"], shift)
    check(nodes, {"x": x}, constants, ["IntDepthwiseWide"], expected, tmp_path)


@pytest.mark.parametrize("width", [7, 96])
def test_a_norm_and_its_activation(rng, width, tmp_path):
    x = rng.integers(-3000, 3000, (5, width)).astype(I16)
    weight, shift = fixed_point(rng.normal(30.0, 10.0, width) * 2.0**-16)
    bias = np.rint(rng.normal(0, 20, width) * 2.0**shift).astype(I64)
    entries = codes_like(rng, 256)
    codes = int_layer_norm.reference(x, weight, bias, 40, shift, 127)
    expected = int_table.reference(codes, entries)
    nodes = [
        node("IntLayerNorm", "x weight bias", "c", epsilon=40, divisor=1 << shift),
        node("IntTable", "c entries"),
    ]
    constants = {"weight": weight, "bias": bias, "entries": entries}
    check(nodes, {"x": x}, constants, ["IntLayerNorm"], expected, tmp_path)


@pytest.mark.parametrize(
    ("frames", "bins", "channels"), [(3, 3, 1), (19, 80, 1), (9, 12, 7), (8, 9, 32)]
)
def test_patches_of_codes_and_a_layer(rng, frames, bins, channels, tmp_path):
    x = codes_like(rng, 2, frames, bins, channels)
    rows, columns = (frames - 1) // 2, (bins - 1) // 2
    taken = np.stack(
        [x[:, t : t + 2 * rows : 2, f : f + 2 * columns : 2][:, :rows, :columns]
         for t in range(3) for f in range(3)], axis=3,
    ).reshape(-1, 9 * channels)  # fmt: skip
    _, constants, _ = layer(rng, (1, 9 * channels, 37), 4)
    codes = rng.integers(-7, 7, (37, 9 * channels), endpoint=True).astype(I8)
    constants["codes"] = int4_tensor("codes", codes)
    acc = int_linear.reference(taken, codes, constants["bias"])
    expected = requantize.reference(acc, constants["m"], 40, 0).reshape(2, rows, columns, 37)
    nodes = [
        node("IntPatches", "x", "p"),
        node("IntLinear", "p codes bias", "acc", weight_bits=4),
        node("Requantize", "acc m", divisor=1 << 40, low=0),
    ]
    check(nodes, {"x": x}, constants, ["IntPatchLinear"], expected, tmp_path)


def test_what_is_read_twice_stays_apart(rng, tmp_path):
    x, constants, acc = layer(rng, (3, 24, 16), 4)
    nodes = [
        node("IntLinear", "x codes bias", "acc", weight_bits=4),
        node("Requantize", "acc m", "c", divisor=1 << 40, low=-127),
        node("IntTable", "c entries", "t"),
        helper.make_node("Concat", ["c", "t"], ["y"], axis=-1),
    ]
    entries = constants["entries"] = codes_like(rng, 256)
    codes = requantize.reference(acc, constants["m"], 40)
    expected = np.concatenate([codes, int_table.reference(codes, entries)], axis=-1)
    check(nodes, {"x": x}, constants, ["IntLinearCodes", "IntTable", "Concat"], expected, tmp_path)
