"""One quantised layer as export writes it."""

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from torch import nn

from halfbyte.export.onnx_model import finish
from halfbyte.ops.operator import DOMAIN, Freezable

_TYPES = {np.dtype(np.float32): TensorProto.FLOAT, np.dtype(np.int64): TensorProto.INT64}


def graph_of(
    layer: nn.Module,
    inputs: dict[str, np.ndarray],
    after: list[onnx.NodeProto] | None = None,
) -> onnx.ModelProto:
    """The node of a frozen layer over its constants, x -> y; `after` reads h and gives y."""
    assert isinstance(layer, Freezable)
    frozen = layer.freeze()
    constants = {name: getattr(frozen, name).numpy() for name in frozen.constants}
    first = next(iter(inputs))
    out = "h" if after else "y"
    node = helper.make_node(
        frozen.operator.name, [first, *constants], [out], domain=DOMAIN, **frozen.attributes
    )
    graph = helper.make_graph(
        [node, *(after or [])],
        "g",
        [
            helper.make_tensor_value_info(
                name, _TYPES[a.dtype], [f"{name}{i}" for i in range(a.ndim)]
            )
            for name, a in inputs.items()
        ],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["rows", "width"])],
        [numpy_helper.from_array(array, name) for name, array in constants.items()],
    )
    return finish(helper.make_model(graph, ir_version=10))
