"""Operators of the domain `halfbyte` on their way to the engine: constants get its types."""

import numpy as np

from halfbyte.errors import UsageError
from halfbyte.export.graph_ir import Graph, Node, PackedCodes
from halfbyte.ops.operator import PACKED, operators
from halfbyte.quant.codecs import CODECS, codec_of


def with_typed_constants(graph: Graph, node: Node) -> list[Node]:
    """The node itself, its constants in the types that the engine reads.

    Raises:
        UsageError: a constant is computed, or codes have no codec.
    """
    for position, dtype in operators()[node.op].constant_inputs().items():
        name = node.inputs[position]
        constant = graph.constants.get(name)
        if constant is None:
            raise UsageError(f"{node.op} {node.outputs[0]}: {name} must be a constant")
        if dtype == PACKED:
            pack_weights(graph, node)
        elif isinstance(constant, np.ndarray):
            graph.constants[name] = constant.astype(dtype)
    return [node]


def pack_weights(graph: Graph, node: Node) -> PackedCodes:
    """Make the codes of a layer a packed constant.

    The codec moves from the attributes of the ONNX node to the type of the constant.

    Raises:
        UsageError: the codes are computed, no matrix, or without a codec.
    """
    constant = graph.constants.get(node.inputs[1])
    codes = constant.codes if isinstance(constant, PackedCodes) else constant
    if codes is None or codes.ndim != 2:
        raise UsageError(f"{node.op} {node.outputs[0]}: codes must be a constant (N, K)")
    codec = codec_of(node.attributes)
    if codec is None or (isinstance(constant, PackedCodes) and constant.codec is not codec):
        known = ", ".join(f"{key}={n}" for c in CODECS.values() for key, n in c.attributes.items())
        raise UsageError(
            f"{node.op} {node.outputs[0]} has the attributes {node.attributes}; expected one of "
            f"{known}, the same for every layer that shares these codes"
        )
    for key in codec.attributes:
        del node.attributes[key]
    packed = PackedCodes(codes.astype(np.int8), codec)
    graph.constants[node.inputs[1]] = packed
    return packed
