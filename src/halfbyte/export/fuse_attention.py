"""Attention of a chunk, and the layers that make its queries, keys and values."""

from halfbyte.export.fuse_linear import num_outputs, side_by_side
from halfbyte.export.graph_ir import Node
from halfbyte.export.graph_pattern import Index


def with_joined_projections(index: Index, node: Node) -> Node | None:
    """ChunkAttention over queries, keys and values of one layer, where all are of the same rows.

    Its attribute `columns` says where each of them begins.
    """
    if node.op != "ChunkAttention":
        return None
    names, columns = _projections(index, node.inputs[:3])
    length = index.writer[node.inputs[-1]]  # of the chunk, which the joined rows have, too
    length.inputs = names[:1]
    attributes = {**node.attributes, "columns": columns}
    return Node(node.op, [*names, *node.inputs[3:]], node.outputs, attributes)


def _projections(index: Index, names: list[str]) -> tuple[list[str], list[int]]:
    """Queries, keys and values: of one layer, where there are three over the same rows."""
    layers = [index.writer.get(name) for name in names]
    found = [layer for layer in layers if layer is not None]
    joined = side_by_side(index, found) if len(found) == len(layers) else None
    if joined is None or len(set(names)) < len(names):
        return names, [0, 0, 0]
    sizes = [num_outputs(index.graph, layer) for layer in found]
    index.graph.nodes.append(joined)
    return joined.outputs * 3, [0, sizes[0], sizes[0] + sizes[1]]
