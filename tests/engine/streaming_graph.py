"""A small streaming graph: a convolution state, and a cache of open length."""

import numpy as np
from onnx import TensorProto, helper, numpy_helper
from onnx_graphs import W4A8, int4_tensor

from halfbyte.export.functions import functions

D, TAPS, LEFT_STEPS = 8, 3, 4


def streaming_model(left_axis="left"):
    """features (1, T, D) -> y: W4A8 linear, causal depthwise conv, mean over a key cache."""
    rng = np.random.default_rng(5)
    arrays = {
        "scales": (rng.random(D) * 0.1 + 0.01).astype(np.float16),
        "bias": rng.standard_normal(D).astype(np.float16),
        "taps": rng.standard_normal((D, 1, TAPS)).astype(np.float32),
        "state.conv": np.ones((1, TAPS - 1, D), np.float32),
        "state.key": np.zeros((1, LEFT_STEPS, D), np.float32),
        "from_end": np.array([1 - TAPS], np.int64),
        "end": np.array([2**62], np.int64),
        "one": np.array([1], np.int64),
    }
    nodes = [
        helper.make_node(
            "Linear", ["features", "codes", "scales", "bias"], ["h"], domain="halfbyte", **W4A8
        ),
        helper.make_node("Concat", ["state.conv", "h"], ["hs"], axis=1),
        helper.make_node("Slice", ["hs", "from_end", "end", "one"], ["next.conv"]),
        helper.make_node("Transpose", ["hs"], ["turned"], perm=[0, 2, 1]),
        helper.make_node("Conv", ["turned", "taps"], ["filtered"], group=D),
        helper.make_node("Transpose", ["filtered"], ["c"], perm=[0, 2, 1]),
        helper.make_node("Concat", ["state.key", "c"], ["keys"], axis=1),
        helper.make_node("Shape", ["features"], ["steps"], start=1, end=2),
        helper.make_node("Slice", ["keys", "steps", "end", "one"], ["next.key"]),
        helper.make_node("ReduceMean", ["keys", "one"], ["mean"], keepdims=1),
        helper.make_node("Add", ["c", "mean"], ["y"]),
    ]
    shapes = {
        "features": (1, "T", D),
        "state.conv": (1, TAPS - 1, D),
        "state.key": (1, left_axis, D),
    }
    outputs = {"y": (1, "T", D), "next.conv": (1, TAPS - 1, D), "next.key": (1, left_axis, D)}
    codes = rng.integers(-7, 8, (D, D)).astype(np.int8)
    graph = helper.make_graph(
        nodes,
        "encoder",
        [helper.make_tensor_value_info(n, TensorProto.FLOAT, s) for n, s in shapes.items()],
        [helper.make_tensor_value_info(n, TensorProto.FLOAT, s) for n, s in outputs.items()],
        [numpy_helper.from_array(a, n) for n, a in arrays.items()] + [int4_tensor("codes", codes)],
    )
    opsets = [helper.make_opsetid("", 21), helper.make_opsetid("halfbyte", 1)]
    return helper.make_model(graph, opset_imports=opsets, functions=functions(), ir_version=10)
