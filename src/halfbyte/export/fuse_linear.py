"""Linear layers and what follows them."""

from collections.abc import Sequence

import numpy as np

from halfbyte.export.graph_ir import Graph, Node, PackedCodes
from halfbyte.export.graph_pattern import Index, either_way

ACTIVATIONS = {"Silu": "silu", "Relu": "relu", "Glu": "glu"}
JOINED = "+"  # between the names of constants that one constant holds, output after output
NUM_INPUTS = {"Linear": 4, "StaticLinear": 6}  # without a residual


def with_bias(index: Index, node: Node) -> Node:
    """An Add of a constant to a LinearFloat without bias becomes its bias."""
    if node.op != "Add":
        return node
    for name, other in either_way(node):
        linear = index.sole(name, "LinearFloat")
        bias = index.graph.array(other)
        if linear is None or len(linear.inputs) > 2 or bias is None:
            continue
        weight = index.graph.array(linear.inputs[1])
        if weight is not None and bias.shape == weight.shape[1:]:
            return Node("LinearFloat", [*linear.inputs, other], node.outputs)
    return node


def with_activation(index: Index, node: Node) -> Node | None:
    """An activation joins the quantised layer whose only reader it is."""
    if node.op not in ACTIVATIONS:
        return None
    linear = index.writer.get(node.inputs[0])
    if linear is None or linear.op not in (*NUM_INPUTS, "PatchLinear"):
        return None
    is_free = index.num_reads(node.inputs[0]) == 1 and "activation" not in linear.attributes
    if not is_free or node.attributes.get("axis", -1) != -1:
        return None
    attributes = {**linear.attributes, "activation": ACTIVATIONS[node.op]}
    return Node(linear.op, linear.inputs, node.outputs, attributes)


def with_residual(index: Index, node: Node) -> Node | None:
    """x + y, or x + y * factor, joins the quantised layer that makes y."""
    if node.op != "Add":
        return None
    for name, residual in either_way(node):
        factor = 1.0
        mul = index.sole(name, "Mul")
        for scaled, constant in either_way(mul) if mul is not None else ():
            value = index.scalar(constant)
            if value is not None:
                name, factor = scaled, value
        linear = index.writer.get(name)
        if linear is None or linear.op not in NUM_INPUTS or index.num_reads(name) != 1:
            continue
        if linear.attributes.get("activation") == "glu" or residual in index.graph.constants:
            continue
        if len(linear.inputs) != NUM_INPUTS[linear.op]:
            continue
        attributes = {**linear.attributes, "factor": factor}
        return Node(linear.op, [*linear.inputs, residual], node.outputs, attributes)
    return None


def side_by_side(index: Index, layers: Sequence[Node]) -> Node | None:
    """Plain layers over the same rows as one layer, its outputs one after the other; or None."""
    first = layers[0]
    kinds = [(node.op, node.inputs[0], len(node.inputs), node.attributes) for node in layers]
    is_plain = first.op in ("Linear", "LinearFloat") and first.attributes.keys() <= {
        "activation_bits"
    }
    if not is_plain or any(kind != kinds[0] for kind in kinds):
        return None
    graph, stem = index.graph, first.outputs[0]
    inputs = [first.inputs[0]]
    for position in range(1, len(first.inputs)):
        joined = _joined(graph, [node.inputs[position] for node in layers])
        if joined is None:
            return None
        inputs.append(joined)
    return Node(first.op, inputs, [graph.new_name(stem)], first.attributes)


def _joined(graph: Graph, names: Sequence[str]) -> str | None:
    """The constants one after the other; JOINED in its name tells of which."""
    constants = [graph.constants.get(name) for name in names]
    name = JOINED.join(names)
    packed = [c for c in constants if isinstance(c, PackedCodes)]
    if len(packed) == len(constants) and len({c.codec for c in packed}) == 1:
        codes = np.concatenate([c.codes for c in packed])
        graph.constants[name] = PackedCodes(codes, packed[0].codec)
        return name
    arrays = [c for c in constants if isinstance(c, np.ndarray)]
    if len(arrays) != len(constants):
        return None
    graph.constants[name] = np.concatenate(arrays, axis=-1)
    return name


def num_outputs(graph: Graph, layer: Node) -> int:
    """N of a layer that `side_by_side` takes."""
    weight = graph.constants[layer.inputs[1]]
    return weight.codes.shape[0] if isinstance(weight, PackedCodes) else weight.shape[-1]
