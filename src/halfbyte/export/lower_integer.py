"""Integer-only operators on their way to the engine: constants get the types it reads."""

import numpy as np

from halfbyte.errors import UsageError
from halfbyte.export.graph_ir import Graph, Node
from halfbyte.export.packed_weights import pack_weights
from halfbyte.ops.operator import operators

_I8, _I16, _I32, _I64 = np.int8, np.int16, np.int32, np.int64
_F32 = np.float32
# Operator -> types of its constant inputs, from the second on.
_CONSTANTS: dict[str, list[type]] = {
    "IntLinear": [_I8, _I32],
    "QuantizeFeatures": [_F32, _F32],
    "Dequantize": [_F32],
    "IntPatches": [],
    "IntDepthwise": [_I8, _I32],
    "Requantize": [_I32],
    "RequantizeWide": [_I32],
    "RequantizeAdd": [_I32],
    "IntLayerNorm": [_I32, _I64],
    "IntLayerNormWide": [_I32, _I64],
    "IntAttention": [_I8, _I8, _I8],
}
_CONSTANTS |= {
    name: [np.dtype(dtype).type for dtype in operator.constants.values()]
    for name, operator in operators().items()
}
INTEGER_OPS = set(_CONSTANTS)


def lower_integer(graph: Graph, node: Node) -> list[Node]:
    """The node itself, its constants in the types of the engine.

    Raises:
        UsageError: weights, multipliers or tables are computed.
    """
    for name, dtype in zip(node.inputs[1:], _CONSTANTS[node.op], strict=False):
        constant = graph.constants.get(name)
        if constant is None:
            raise UsageError(f"{node.op} {node.outputs[0]}: {name} must be a constant")
        if isinstance(constant, np.ndarray) and constant.dtype != dtype:
            graph.constants[name] = constant.astype(dtype)
    if node.op == "IntLinear":
        pack_weights(graph, node)
    return [node]
