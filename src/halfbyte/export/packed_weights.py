"""Weights of quantised layers on their way to the engine."""

import numpy as np

from halfbyte.errors import UsageError
from halfbyte.export.graph_ir import Graph, Node, PackedCodes


def pack_weights(graph: Graph, node: Node) -> PackedCodes:
    """Make the codes of a layer a packed constant.

    The bits move from the attribute `weight_bits` of the ONNX node to the type of the constant.

    Raises:
        UsageError: the codes are computed, no matrix, or without their number of bits.
    """
    bits = node.attributes.pop("weight_bits", None)
    constant = graph.constants.get(node.inputs[1])
    codes = constant.codes if isinstance(constant, PackedCodes) else constant
    if codes is None or codes.ndim != 2:
        raise UsageError(f"{node.op} {node.outputs[0]}: codes must be a constant (N, K)")
    if bits not in range(1, 9) or (isinstance(constant, PackedCodes) and constant.bits != bits):
        raise UsageError(
            f"{node.op} {node.outputs[0]}: weight_bits is {bits}; expected 1 to 8, the same for "
            "every layer that shares these codes"
        )
    packed = PackedCodes(codes.astype(np.int8), bits)
    graph.constants[node.inputs[1]] = packed
    return packed
