"""Every operator against ONNX Runtime, with odd shapes and broadcasting."""

import numpy as np
import pytest
from onnx import helper
from onnx_graphs import assert_same, compiled, int4_tensor, model_of, run_engine, run_reference

from halfbyte import _core

ISAS = _core.kernels.isas()


def floats(*shape, seed=0):
    return np.random.default_rng([seed, *shape]).standard_normal(shape).astype(np.float32)


def positive(*shape):
    return np.abs(floats(*shape)) + np.float32(0.1)


def whole(*shape, low=-9, high=9, seed=0):
    return np.random.default_rng([seed, *shape]).integers(low, high, shape, dtype=np.int64)


def flags(*shape, seed=0):
    return np.random.default_rng([seed, *shape]).integers(0, 2, shape).astype(bool)


def ints(*numbers):
    return np.array(numbers, np.int64)


# id: (operator, inputs, initialisers (after the inputs), attributes, number of outputs)
CASES = {
    "add": ("Add", [floats(3, 5), floats(3, 5, seed=1)], [], {}, 1),
    "add_row": ("Add", [floats(2, 3, 17), floats(17)], [], {}, 1),
    "add_column": ("Add", [floats(2, 1, 7), floats(3, 1)], [], {}, 1),
    "add_int": ("Add", [whole(4, 1), whole(5)], [], {}, 1),
    "add_scalar": ("Add", [floats(4, 33), floats()], [], {}, 1),
    "sub": ("Sub", [floats(1, 6), floats(4, 6)], [], {}, 1),
    "mul": ("Mul", [floats(3, 1, 2), floats(5, 1)], [], {}, 1),
    "mul_int": ("Mul", [whole(7), whole(7, seed=1)], [], {}, 1),
    "div": ("Div", [floats(3, 5), positive(5)], [], {}, 1),
    "div_int": ("Div", [whole(40), whole(40, low=1, seed=1)], [], {}, 1),
    "div_int_negative": ("Div", [whole(40), whole(40, low=-7, high=-1, seed=1)], [], {}, 1),
    "mod": ("Mod", [whole(40), whole(40, low=1, seed=1)], [], {}, 1),
    "mod_negative": ("Mod", [whole(40), whole(40, low=-7, high=-1, seed=1)], [], {}, 1),
    "mod_float": ("Mod", [floats(3, 7), positive(7)], [], {"fmod": 1}, 1),
    "pow_square": ("Pow", [floats(3, 7)], [np.float32(2)], {}, 1),
    "pow_root": ("Pow", [positive(3, 7)], [np.float32(0.5)], {}, 1),
    "pow_any": ("Pow", [positive(3, 7), floats(7)], [], {}, 1),
    "pow_inverse": ("Pow", [positive(3, 7)], [np.float32(-3)], {}, 1),
    "max": ("Max", [floats(3, 7), floats(7)], [], {}, 1),
    "max_three": ("Max", [floats(3, 7), floats(7), floats(3, 1)], [], {}, 1),
    "min": ("Min", [floats(3, 7), floats(7)], [], {}, 1),
    "min_int": ("Min", [whole(3, 7), whole(7)], [], {}, 1),
    "equal": ("Equal", [whole(50, high=-6), whole(50, high=-6, seed=1)], [], {}, 1),
    "less": ("Less", [floats(3, 7), floats(7)], [], {}, 1),
    "less_or_equal": ("LessOrEqual", [whole(5, 9), whole(9)], [], {}, 1),
    "greater": ("Greater", [floats(3, 7), floats(7)], [], {}, 1),
    "greater_or_equal": ("GreaterOrEqual", [whole(5, 9), whole(9)], [], {}, 1),
    "and": ("And", [flags(5, 9), flags(9)], [], {}, 1),
    "or": ("Or", [flags(5, 1), flags(9)], [], {}, 1),
    "where": ("Where", [flags(3, 1), floats(1, 5), floats(3, 5)], [], {}, 1),
    "where_scalar": ("Where", [flags(2, 3, 5), floats(2, 3, 5)], [np.float32(-1e9)], {}, 1),
    "neg": ("Neg", [floats(3, 5)], [], {}, 1),
    "neg_int": ("Neg", [whole(5)], [], {}, 1),
    "abs": ("Abs", [floats(3, 5)], [], {}, 1),
    "abs_int": ("Abs", [whole(5)], [], {}, 1),
    "sqrt": ("Sqrt", [positive(3, 5)], [], {}, 1),
    "floor": ("Floor", [floats(3, 5) * 9], [], {}, 1),
    "ceil": ("Ceil", [floats(3, 5) * 9], [], {}, 1),
    "not": ("Not", [flags(3, 5)], [], {}, 1),
    "exp": ("Exp", [floats(3, 37) * 4], [], {}, 1),
    "log": ("Log", [positive(3, 37)], [], {}, 1),
    "sigmoid": ("Sigmoid", [floats(3, 37) * 4], [], {}, 1),
    "tanh": ("Tanh", [floats(3, 37) * 2], [], {}, 1),
    "relu": ("Relu", [floats(3, 37)], [], {}, 1),
    "clip": ("Clip", [floats(3, 37)], [np.float32(-0.5), np.float32(0.25)], {}, 1),
    "cast_int": ("Cast", [floats(3, 7) * 9], [], {"to": 7}, 1),
    "cast_float": ("Cast", [whole(3, 7)], [], {"to": 1}, 1),
    "cast_bool": ("Cast", [whole(3, 7, low=-1, high=2)], [], {"to": 9}, 1),
    "cast_from_bool": ("Cast", [flags(3, 7)], [], {"to": 1}, 1),
    "cast_same": ("Cast", [floats(3, 7)], [], {"to": 1}, 1),
    "shape": ("Shape", [floats(3, 7, 2)], [], {"start": 1}, 1),
    "size": ("Size", [floats(3, 7, 2)], [], {}, 1),
    "identity": ("Identity", [floats(3, 7, 2)], [], {}, 1),
    "reshape": ("Reshape", [floats(3, 4, 5)], [ints(0, -1, 2)], {}, 1),
    "squeeze": ("Squeeze", [floats(1, 3, 1, 2)], [ints(0, -2)], {}, 1),
    "squeeze_all": ("Squeeze", [floats(1, 3, 1, 2)], [], {}, 1),
    "unsqueeze": ("Unsqueeze", [floats(3, 2)], [ints(0, -1)], {}, 1),
    "flatten": ("Flatten", [floats(3, 2, 5)], [], {"axis": 2}, 1),
    "transpose": ("Transpose", [floats(3, 2, 5)], [], {"perm": [2, 0, 1]}, 1),
    "transpose_last": ("Transpose", [floats(2, 37, 41)], [], {"perm": [0, 2, 1]}, 1),
    "transpose_heads": ("Transpose", [floats(1, 7, 4, 16)], [], {"perm": [0, 2, 1, 3]}, 1),
    "transpose_all": ("Transpose", [whole(3, 2, 5)], [], {}, 1),
    "slice": ("Slice", [floats(7, 9)], [ints(1, -4), ints(100, -1), ints(0, 1)], {}, 1),
    "slice_step": ("Slice", [floats(7, 9)], [ints(1), ints(9), ints(1), ints(3)], {}, 1),
    "slice_back": ("Slice", [floats(7, 9)], [ints(-1), ints(-100), ints(0), ints(-2)], {}, 1),
    "slice_rows": ("Slice", [floats(7, 9)], [ints(2), ints(5)], {}, 1),
    "slice_none": ("Slice", [floats(7, 9)], [ints(5), ints(5), ints(1)], {}, 1),
    "split": ("Split", [floats(3, 8)], [], {"axis": 1, "num_outputs": 2}, 2),
    "split_sizes": ("Split", [floats(7, 3)], [ints(2, 5)], {}, 2),
    "concat": ("Concat", [floats(2, 3, 4), floats(2, 5, 4), floats(2, 1, 4)], [], {"axis": 1}, 1),
    "concat_empty": ("Concat", [floats(2, 0), floats(2, 5)], [], {"axis": -1}, 1),
    "concat_int": ("Concat", [whole(2), whole(3)], [], {"axis": 0}, 1),
    "gather": ("Gather", [floats(5, 4), whole(2, 3, low=-5, high=5)], [], {}, 1),
    "gather_axis": ("Gather", [floats(2, 5, 4), whole(3, low=-5, high=5)], [], {"axis": 1}, 1),
    "gather_scalar": ("Gather", [floats(2, 5, 4)], [np.int64(3)], {"axis": 1}, 1),
    "expand": ("Expand", [floats(3, 1, 2)], [ints(2, 1, 5, 1)], {}, 1),
    "tile": ("Tile", [floats(3, 2)], [ints(2, 3)], {}, 1),
    "pad": ("Pad", [floats(3, 4)], [ints(1, 0, 2, 3), np.float32(7)], {}, 1),
    "pad_zeros": ("Pad", [whole(3, 4)], [ints(0, 2, 0, 0)], {}, 1),
    "pad_axes": ("Pad", [floats(2, 3, 4)], [ints(1, 2), np.float32(0), ints(-2)], {}, 1),
    "reduce_max": ("ReduceMax", [floats(3, 37)], [ints(-1)], {}, 1),
    "reduce_max_int": ("ReduceMax", [whole(3, 37)], [ints(0)], {"keepdims": 0}, 1),
    "reduce_min": ("ReduceMin", [floats(3, 4, 5)], [ints(1)], {"keepdims": 0}, 1),
    "reduce_sum": ("ReduceSum", [floats(3, 4, 37)], [ints(0, 2)], {}, 1),
    "reduce_sum_int": ("ReduceSum", [whole(3, 4)], [], {}, 1),
    "reduce_mean": ("ReduceMean", [floats(3, 4, 37)], [ints(1, 2)], {"keepdims": 0}, 1),
    "cumsum": ("CumSum", [whole(3, 4)], [np.int64(1)], {}, 1),
    "cumsum_rows": ("CumSum", [floats(5, 3)], [np.int64(0)], {}, 1),
    "softmax": ("Softmax", [floats(2, 3, 37) * 5], [], {"axis": -1}, 1),
    "softmax_axis": ("Softmax", [floats(2, 3, 5)], [], {"axis": 2}, 1),
    "log_softmax": ("LogSoftmax", [floats(3, 101) * 5], [], {"axis": -1}, 1),
    "layer_norm": (
        "LayerNormalization",
        [floats(2, 3, 37)],
        [floats(37), floats(37, seed=1)],
        {},
        1,
    ),
    "layer_norm_no_bias": (
        "LayerNormalization",
        [floats(2, 48)],
        [positive(48)],
        {"epsilon": 1e-3},
        1,
    ),
    "matmul": ("MatMul", [floats(5, 33), floats(33, 18)], [], {}, 1),
    "matmul_batch": ("MatMul", [floats(2, 3, 5, 7), floats(2, 3, 7, 4)], [], {}, 1),
    "matmul_broadcast": ("MatMul", [floats(2, 3, 5, 7), floats(3, 7, 4)], [], {}, 1),
    "matmul_vector": ("MatMul", [floats(7), floats(2, 7, 4)], [], {}, 1),
    "matmul_by_vector": ("MatMul", [floats(2, 4, 7), floats(7)], [], {}, 1),
    "matmul_constant": ("MatMul", [floats(2, 5, 33)], [floats(33, 17)], {}, 1),
    "gemm": ("Gemm", [floats(5, 33)], [floats(17, 33), floats(17)], {"transB": 1}, 1),
    "gemm_computed": ("Gemm", [floats(5, 9), floats(6, 9), floats(6)], [], {"transB": 1}, 1),
    "conv_depthwise": (
        "Conv",
        [floats(2, 19, 23)],
        [floats(19, 1, 7), floats(19)],
        {"group": 19},
        1,
    ),
    "conv_padded": ("Conv", [floats(1, 5, 9)], [floats(5, 1, 3)], {"group": 5, "pads": [2, 1]}, 1),
    "conv_one_tap": ("Conv", [floats(2, 9, 11)], [floats(6, 9, 1), floats(6)], {}, 1),
}


def case_model(case):
    op, inputs, constants, attributes, num_outputs = CASES[case]
    named = {f"x{i}": array for i, array in enumerate(inputs)}
    initializers = {f"c{i}": np.asarray(array) for i, array in enumerate(constants)}
    outputs = [f"y{i}" for i in range(num_outputs)]
    node = helper.make_node(op, [*named, *initializers], outputs, **attributes)
    return model_of([node], named, outputs, initializers), named


@pytest.mark.parametrize("case", CASES)
def test_operator_equals_onnx_runtime(case, tmp_path):
    model, inputs = case_model(case)
    model_file = compiled(model, tmp_path)
    expected = run_reference(model, inputs)
    for isa in ISAS:
        assert_same(run_engine(model_file, inputs, isa=isa), expected)


@pytest.mark.parametrize("case", CASES)
def test_operator_has_the_same_bits_on_every_isa(case, tmp_path):
    model, inputs = case_model(case)
    model_file = compiled(model, tmp_path)
    results = [run_engine(model_file, inputs, isa=isa) for isa in ISAS]
    for other in results[1:]:
        for name, value in results[0].items():
            assert other[name].tobytes() == value.tobytes()


def quantized_model(op, x, n, k, **attributes):
    """One quantised layer on x; the output's shape is left to ONNX Runtime."""
    bits = attributes["weight_bits"]
    edge = max(1, 2 ** (bits - 1) - 1)
    codes = whole(n, k, low=-edge, high=edge + 1).astype(np.int8)
    if bits == 1:
        codes = np.where(codes < 0, np.int8(-1), np.int8(1))
    initializers = {
        "codes": codes if bits > 4 else int4_tensor("codes", codes),
        "scales": positive(n).astype(np.float16),
    }
    if op == "Linear":
        initializers["bias"] = floats(n).astype(np.float16)
    node = helper.make_node(op, ["x", *initializers], ["y"], domain="halfbyte", **attributes)
    return model_of([node], {"x": x}, ["y"], initializers)


@pytest.mark.parametrize(("bits", "act_bits"), [*((bits, 8) for bits in range(1, 9)), (4, 4)])
@pytest.mark.parametrize(("shape", "n"), [((1, 1), 1), ((2, 3, 37), 19), ((5, 256), 64)])
def test_linear_equals_onnx_runtime_to_the_last_bit(bits, act_bits, shape, n, tmp_path):
    x = floats(*shape)
    x.reshape(-1, shape[-1])[0] = 0  # a row of silence
    attributes = {"weight_bits": bits, "activation_bits": act_bits}
    model = quantized_model("Linear", x, n, shape[-1], **attributes)
    model_file = compiled(model, tmp_path)
    expected = run_reference(model, {"x": x})["y"]
    for isa in ISAS:
        np.testing.assert_array_equal(run_engine(model_file, {"x": x}, isa=isa)["y"], expected)


@pytest.mark.parametrize("bits", range(1, 9))
def test_embedding_equals_onnx_runtime_to_the_last_bit(bits, tmp_path):
    ids = whole(2, 5, low=0, high=19)
    model = quantized_model("Embedding", ids, 19, 37, weight_bits=bits)
    expected = run_reference(model, {"x": ids})["y"]
    np.testing.assert_array_equal(run_engine(compiled(model, tmp_path), {"x": ids})["y"], expected)
