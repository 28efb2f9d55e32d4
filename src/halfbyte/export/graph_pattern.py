"""Finding patterns of nodes in a graph, and putting one node in their place.

Tried in its place: onnxscript's rewriter. It finds Silu and Glu in 13 lines where we have 23 (400
of them in 0.43 s, ours in 0.02 s); the other rules are about what exists after lowering only, such
as packed codes, so it would have stood beside these 76 lines of code, not in their place.
"""

from collections import defaultdict
from collections.abc import Sequence

import numpy as np

from halfbyte.export.graph_ir import Graph, Node


class Index:
    """Who writes and who reads each value."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.writer = {name: node for node in graph.nodes for name in node.outputs}
        self.readers: dict[str, list[Node]] = defaultdict(list)
        for node in graph.nodes:
            for name in node.inputs:
                self.readers[name].append(node)
        self._outputs = set(graph.outputs.values())

    def num_reads(self, name: str) -> int:
        """How often nodes read a value; an output of the graph is read once more."""
        return len(self.readers[name]) + (name in self._outputs)

    def node(self, name: str, op: str) -> Node | None:
        """The node of kind `op` that writes `name`."""
        node = self.writer.get(name)
        return node if node is not None and node.op == op else None

    def sole(self, name: str, op: str) -> Node | None:
        """The same, if only one other node reads that."""
        return self.node(name, op) if self.num_reads(name) == 1 else None

    def numbers(self, name: str) -> list[int] | None:
        """The elements of a constant of integers."""
        array = self.graph.array(name)
        if array is None or array.dtype != np.int64:
            return None
        return [int(number) for number in array.reshape(-1)]

    def scalar(self, name: str) -> float | None:
        """The only element of a float32 constant."""
        array = self.graph.array(name)
        is_scalar = array is not None and array.dtype == np.float32 and array.ndim == 0
        return float(array) if array is not None and is_scalar else None

    def slice_of(self, node: Node, axis: int, step: int = 1) -> tuple[str, str] | None:
        """Start and end, as names, of a Slice along this one axis with this step."""
        if node.op != "Slice" or len(node.inputs) < 4:
            return None
        steps = self.numbers(node.inputs[4]) if len(node.inputs) > 4 else [1]
        if self.numbers(node.inputs[3]) != [axis] or steps != [step]:
            return None
        return node.inputs[1], node.inputs[2]


def either_way(node: Node) -> tuple[tuple[str, str], tuple[str, str]]:
    """Both orders of the inputs of a commutative operator."""
    left, right = node.inputs
    return (left, right), (right, left)


def replace(graph: Graph, fused: Sequence[Node]) -> None:
    """Puts nodes in place of those that write the same values, and drops what nothing reads.

    The order of nodes is kept where it can be: each stands after those whose values it reads.
    """
    written = {name for node in fused for name in node.outputs}
    nodes = [n for n in graph.nodes if written.isdisjoint(n.outputs)] + list(fused)
    position = {name: i for i, node in enumerate(graph.nodes) for name in node.outputs}
    nodes.sort(key=lambda node: min(position[name] for name in node.outputs))
    writer = {name: node for node in nodes for name in node.outputs}
    ordered: dict[int, Node] = {}
    for node in nodes:
        _place(node, writer, ordered)
    graph.nodes = list(ordered.values())
    _drop_unread(graph)


def _place(node: Node, writer: dict[str, Node], ordered: dict[int, Node]) -> None:
    waiting = [node]
    while waiting:
        last = waiting[-1]
        missing = [
            writer[name]
            for name in last.inputs
            if name in writer and id(writer[name]) not in ordered
        ]
        if missing:
            waiting += missing[:1]
        else:
            ordered.setdefault(id(last), last)
            waiting.pop()


def _drop_unread(graph: Graph) -> None:
    reads: dict[str, int] = defaultdict(int)
    for name in [*(n for node in graph.nodes for n in node.inputs), *graph.outputs.values()]:
        reads[name] += 1
    kept = []
    for node in reversed(graph.nodes):
        if any(reads[name] for name in node.outputs):
            kept.append(node)
        else:
            for name in node.inputs:
                reads[name] -= 1
    graph.nodes = kept[::-1]
