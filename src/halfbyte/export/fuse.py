"""Patterns of several nodes that the engine runs as one; the bits do not change."""

from halfbyte.export.fuse_attention import with_joined_projections
from halfbyte.export.fuse_convolution import patch_linear_of
from halfbyte.export.fuse_integer import int_patch_linear_of, requantized_of, with_table
from halfbyte.export.fuse_linear import with_activation, with_bias, with_residual
from halfbyte.export.graph_ir import Graph, Node
from halfbyte.export.graph_pattern import Index, replace


def fuse(graph: Graph) -> None:
    """Fuses small patterns, in place: bias into LinearFloat; pairs of Transpose; and of files from
    elsewhere, x * sigmoid(x) and gated halves, which our blocks emit as nodes."""
    for rule in (_fuse_transposes, with_bias, _fuse_silu, _fuse_glu):
        index = Index(graph)
        graph.nodes = [rule(index, node) for node in graph.nodes]
        replace(graph, [])


def fuse_blocks(graph: Graph) -> None:
    """Fuses what a streaming Conformer is made of, in place: patches with their linear layer,
    attention with its projections, linear layers with what follows them; of
    integer-only models, products with their rescaling and tables."""
    _drop_identities(graph)
    rules = (
        patch_linear_of,
        with_joined_projections,
        with_activation,
        with_residual,
        requantized_of,
        with_table,
        int_patch_linear_of,
    )
    for rule in rules:
        index = Index(graph)
        replace(graph, [fused for node in graph.nodes if (fused := rule(index, node)) is not None])


def _drop_identities(graph: Graph) -> None:
    outputs = set(graph.outputs.values())
    renamed: dict[str, str] = {}
    kept = []
    for node in graph.nodes:
        node.inputs = [renamed.get(name, name) for name in node.inputs]
        if node.op == "Identity" and node.outputs[0] not in outputs:
            renamed[node.outputs[0]] = node.inputs[0]
        else:
            kept.append(node)
    graph.nodes = kept


def _fuse_transposes(index: Index, node: Node) -> Node:
    if node.op != "Transpose" or "perm" not in node.attributes:
        return node
    first = index.writer.get(node.inputs[0])
    if first is None or first.op != "Transpose" or "perm" not in first.attributes:
        return node
    perm = [first.attributes["perm"][axis] for axis in node.attributes["perm"]]
    op = "Identity" if perm == sorted(perm) else "Transpose"
    fused = Node(op, list(first.inputs), node.outputs, {"perm": perm} if op == "Transpose" else {})
    index.writer[node.outputs[0]] = fused
    return fused


def _fuse_silu(index: Index, node: Node) -> Node:
    if node.op != "Mul":
        return node
    for name, other in (node.inputs, node.inputs[::-1]):
        gate = index.sole(name, "Sigmoid")
        if gate is not None and gate.inputs[0] == other:
            return Node("Silu", [other], node.outputs)
    return node


def _fuse_glu(index: Index, node: Node) -> Node:
    if node.op != "Mul":
        return node
    for name, other in (node.inputs, node.inputs[::-1]):
        gate = index.sole(name, "Sigmoid")
        halves = index.writer.get(other)
        if gate is None or halves is None or halves.op != "Split":
            continue
        sizes = halves.attributes.get("split", [1, 1])
        is_even = len(halves.outputs) == 2 and sizes[0] == sizes[1]
        last_axis = index.graph.ranks.get(halves.inputs[0], 0) - 1
        is_last_axis = halves.attributes["axis"] in (-1, last_axis)
        if is_even and is_last_axis and halves.outputs == [other, gate.inputs[0]]:
            return Node("Glu", halves.inputs, node.outputs)
    return node
