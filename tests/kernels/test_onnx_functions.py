"""ONNX Runtime, running the function bodies, gives the bits of the numpy reference."""

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from kernel_cases import FLOAT_FILLS, generator, make_codes, make_floats
from onnx import TensorProto, helper, numpy_helper

from halfbyte.export.functions import functions
from halfbyte.ops import embedding, linear, weight_only_linear
from halfbyte.ops.operator import DOMAIN, OPSET

LINEARS = [*((bits, 8) for bits in range(1, 9)), (4, 4)]
LEVELS = [
    ort.GraphOptimizationLevel.ORT_DISABLE_ALL,
    ort.GraphOptimizationLevel.ORT_ENABLE_BASIC,
    ort.GraphOptimizationLevel.ORT_ENABLE_EXTENDED,
    ort.GraphOptimizationLevel.ORT_ENABLE_ALL,
]


def codes_initializer(codes, bits):
    if bits > 4:
        return numpy_helper.from_array(codes, "codes")
    nibbles = np.append(codes.reshape(-1), np.zeros(codes.size % 2, np.int8)).view(np.uint8) & 15
    packed = (nibbles[0::2] | (nibbles[1::2] << 4)).tobytes()
    return helper.make_tensor("codes", TensorProto.INT4, codes.shape, packed, raw=True)


def session_of(op, x_type, x_rank, initializers, level, **attributes):
    inputs = ["x", *(i.name for i in initializers)]
    node = helper.make_node(op, inputs, ["y"], domain=DOMAIN, **attributes)
    axes = [f"axis{i}" for i in range(3)]
    x = helper.make_tensor_value_info("x", x_type, axes[:x_rank])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, [*axes[:2], "last_axis"])
    model = helper.make_model(
        helper.make_graph([node], "one_layer", [x], [y], initializers),
        functions=functions(),
        opset_imports=[helper.make_opsetid("", OPSET), helper.make_opsetid(DOMAIN, 1)],
        ir_version=10,
    )
    onnx.checker.check_model(model)
    options = ort.SessionOptions()
    options.graph_optimization_level = level
    options.intra_op_num_threads = 1
    return ort.InferenceSession(model.SerializeToString(), options)


def make_layer(bits, n, k, fill):
    rng = generator("onnx", bits, n, k)
    scales = (np.abs(rng.standard_normal(n)) + 2**-14).astype(np.float16)
    scales[0] = 2**-14
    return (
        make_codes(fill, bits, (n, k), is_weight=True),
        scales,
        rng.standard_normal(n).astype(np.float16),
    )


@pytest.mark.parametrize("level", LEVELS, ids=lambda level: level.name)
@pytest.mark.parametrize("weight_fill", ["random", "all_min", "all_max"])
@pytest.mark.parametrize(("bits", "act_bits"), LINEARS)
def test_linear_function_equals_reference(bits, act_bits, weight_fill, level):
    n, k = 37, 145
    codes, scales, bias = make_layer(bits, n, k, weight_fill)
    initializers = [
        codes_initializer(codes, bits),
        numpy_helper.from_array(scales, "scales"),
        numpy_helper.from_array(bias, "bias"),
    ]
    attributes = {"weight_bits": bits, "activation_bits": act_bits}
    session = session_of("Linear", TensorProto.FLOAT, 3, initializers, level, **attributes)
    for fill in FLOAT_FILLS:
        for batch, frames in [(1, 1), (1, 6), (2, 3)]:
            x = make_floats(fill, (batch * frames, k)).reshape(batch, frames, k)
            (y,) = session.run(["y"], {"x": x})
            expected = linear.reference(x, codes, scales, bias, act_bits)
            np.testing.assert_array_equal(y.view(np.int32), expected.view(np.int32), err_msg=fill)


@pytest.mark.parametrize("level", LEVELS, ids=lambda level: level.name)
@pytest.mark.parametrize("bits", range(1, 9))
def test_embedding_function_equals_reference(bits, level):
    codes, scales, _ = make_layer(bits, 21, 9, "random")
    initializers = [codes_initializer(codes, bits), numpy_helper.from_array(scales, "scales")]
    attributes = {"weight_bits": bits}
    session = session_of("Embedding", TensorProto.INT64, 2, initializers, level, **attributes)
    ids = np.array([[0, 20, 7], [7, 1, 2]], np.int64)
    (y,) = session.run(["y"], {"x": ids})
    np.testing.assert_array_equal(y, embedding.reference(ids, codes, scales))


@pytest.mark.parametrize("level", LEVELS, ids=lambda level: level.name)
@pytest.mark.parametrize("groups", [1, 5])
def test_weight_only_function_equals_reference(groups, level):
    codes, _, bias = make_layer(4, 37, 145, "random")
    scales = np.abs(generator("weight only", groups).standard_normal((37, groups))) + 2**-14
    initializers = [
        codes_initializer(codes, 4),
        numpy_helper.from_array(scales.astype(np.float16), "scales"),
        numpy_helper.from_array(bias, "bias"),
    ]
    attributes = {"weight_bits": 4}
    session = session_of(
        "WeightOnlyLinear", TensorProto.FLOAT, 3, initializers, level, **attributes
    )
    x = make_floats("random", (6, 145)).reshape(2, 3, 145)
    (y,) = session.run(["y"], {"x": x})
    expected = weight_only_linear.reference(x, codes, scales.astype(np.float16), bias)
    np.testing.assert_allclose(y, expected, rtol=1e-5, atol=1e-4 * np.abs(expected).max())
