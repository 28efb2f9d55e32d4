"""Patterns of several nodes that the engine runs as one."""

from collections import Counter

from halfbyte.export.graph_ir import Graph, Node


class _Index:
    """Who writes and how many read each value."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.writer = {name: node for node in graph.nodes for name in node.outputs}
        self.reads = Counter(name for node in graph.nodes for name in node.inputs)
        self.reads.update(graph.outputs.values())

    def sole(self, name: str, op: str) -> Node | None:
        """The node of kind `op` that writes `name`, if only one other node reads that."""
        node = self.writer.get(name)
        return node if node is not None and node.op == op and self.reads[name] == 1 else None


def fuse(graph: Graph) -> None:
    """Fuses, in place: bias into LinearFloat; x * sigmoid(x); gated halves; pairs of Transpose."""
    for rule in (_fuse_transposes, _fuse_bias, _fuse_silu, _fuse_glu):
        index = _Index(graph)
        graph.nodes = [fused for node in graph.nodes if (fused := rule(index, node)) is not None]
        _drop_unread(graph)


def _drop_unread(graph: Graph) -> None:
    reads = _Index(graph).reads
    kept = []
    for node in reversed(graph.nodes):
        if any(reads[name] for name in node.outputs):
            kept.append(node)
        else:
            reads.subtract(node.inputs)
    graph.nodes = kept[::-1]


def _fuse_transposes(index: _Index, node: Node) -> Node:
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


def _fuse_bias(index: _Index, node: Node) -> Node:
    if node.op != "Add":
        return node
    for name, other in (node.inputs, node.inputs[::-1]):
        linear = index.sole(name, "LinearFloat")
        bias = index.graph.array(other)
        if linear is None or len(linear.inputs) > 2 or bias is None:
            continue
        weight = index.graph.array(linear.inputs[1])
        if weight is not None and bias.shape == weight.shape[1:]:
            return Node("LinearFloat", [*linear.inputs, other], node.outputs)
    return node


def _fuse_silu(index: _Index, node: Node) -> Node:
    if node.op != "Mul":
        return node
    for name, other in (node.inputs, node.inputs[::-1]):
        gate = index.sole(name, "Sigmoid")
        if gate is not None and gate.inputs[0] == other:
            return Node("Silu", [other], node.outputs)
    return node


def _fuse_glu(index: _Index, node: Node) -> Node:
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
