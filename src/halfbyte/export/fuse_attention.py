"""Attention of a chunk to its left context and itself."""

from dataclasses import dataclass

from halfbyte.export.fuse_convolution import kept_from
from halfbyte.export.fuse_linear import num_outputs, side_by_side
from halfbyte.export.graph_ir import Node
from halfbyte.export.graph_pattern import Index, either_way

_HEADS_FIRST = (0, 2, 1, 3)  # (B, T, H, dk) <-> (B, H, T, dk)


@dataclass(frozen=True)
class _Cache:
    """Past and new rows of keys or values, joined; the newest kept for the next chunk."""

    past: str
    fresh: str  # (B, C, D)
    keep_from: str
    kept: str


@dataclass(frozen=True)
class _Query:
    """Queries with a bias (H, 1, dk), times something."""

    query: str  # (B, C, D)
    bias: str
    times: str


def attention_of(index: Index, node: Node) -> Node | None:
    """ChunkAttention, found at its softmax.

    scores = ((q + u) · keys + shift((q + v) · positions)) · scale + mask, softmax over keys,
    times values; the shift is there or not.
    """
    if node.op != "Softmax" or node.attributes.get("axis", -1) not in (-1, 3):
        return None
    masked = index.sole(node.inputs[0], "Add")
    for scaled, mask in either_way(masked) if masked is not None else ():
        mul = index.sole(scaled, "Mul")
        for scores, constant in either_way(mul) if mul is not None else ():
            scale = index.scalar(constant)
            total = index.sole(scores, "Add")
            for content, position in either_way(total) if total is not None else ():
                if scale is not None and mask not in index.graph.constants:
                    fused = _fused(index, node, content, position, mask, scale)
                    if fused is not None:
                        return fused
    return None


def _fused(
    index: Index, softmax: Node, content: str, position: str, mask: str, scale: float
) -> Node | None:
    unshifted = _before_shift(index, position)
    by_content = _query(index, content)
    by_position = _query(index, position if unshifted is None else unshifted)
    if by_content is None or by_position is None or by_content.query != by_position.query:
        return None
    turned = index.is_transpose(by_content.times, (0, 1, 3, 2))
    keys = None if turned is None else _cache(index, turned.inputs[0], turned)
    product = index.sole_reader(softmax.outputs[0], "MatMul")
    if keys is None or product is None or product.inputs[0] != softmax.outputs[0]:
        return None
    values = _cache(index, product.inputs[1], product)
    context = _joined_heads(index, product.outputs[0], by_content.bias)
    if values is None or context is None or values.keep_from != keys.keep_from:
        return None
    names, columns = _projections(index, [by_content.query, keys.fresh, values.fresh])
    return Node(
        "ChunkAttention",
        [
            *names,
            *(keys.past, values.past, by_position.times),
            *(by_content.bias, by_position.bias, mask, keys.keep_from),
        ],
        [context, keys.kept, values.kept],
        {"columns": columns, "scale": scale, "shift": int(unshifted is not None)},
    )


def _before_shift(index: Index, name: str) -> str | None:
    """What goes into Transformer-XL's shift of distances: pad, reshape, cut, reshape, cut.

    A zero before each row, the rows read as columns, the first of them dropped: sizes allow only
    (B, H, C, P) -> (B, H, P + 1, C) -> (B, H, P, C) -> (B, H, C, P).
    """
    cut = index.sole(name, "Slice")
    start = index.slice_of(cut, axis=3) if cut else None
    second = index.sole(cut.inputs[0], "Reshape") if cut else None
    without_first = index.sole(second.inputs[0], "Slice") if second else None
    first = index.sole(without_first.inputs[0], "Reshape") if without_first else None
    pad = index.sole(first.inputs[0], "Pad") if first else None
    if pad is None or start is None or without_first is None or len(pad.inputs) > 2:
        return None
    dropped = kept_from(index, without_first, axis=2)
    is_shift = (
        index.numbers(start[0]) == [0]
        and dropped is not None
        and index.numbers(dropped) == [1]
        and index.numbers(pad.inputs[1]) == [0, 0, 0, 1, 0, 0, 0, 0]
        and pad.attributes.get("mode", "constant") == "constant"
    )
    return pad.inputs[0] if is_shift else None


def _query(index: Index, name: str) -> _Query | None:
    product = index.sole(name, "MatMul")
    biased = index.sole(product.inputs[0], "Add") if product else None
    for query, bias in either_way(biased) if biased is not None else ():
        array = index.graph.array(bias)
        rows = _split_heads(index, query)
        if product and rows and array is not None and array.ndim == 3 and array.shape[1] == 1:
            return _Query(rows, bias, product.inputs[1])
    return None


def _split_heads(index: Index, name: str) -> str | None:
    """(B, C, D) that becomes (B, H, C, dk)."""
    turned = index.is_transpose(name, _HEADS_FIRST)
    split = index.node(turned.inputs[0], "Reshape") if turned else None
    return split.inputs[0] if split else None


def _cache(index: Index, name: str, reader: Node) -> _Cache | None:
    joined = index.node(name, "Concat")
    others = [node for node in index.readers[name] if node is not reader]
    if joined is None or joined.attributes["axis"] != 2 or len(joined.inputs) != 2:
        return None
    if len(others) != 1 or index.num_reads(name) != 2:
        return None
    start = kept_from(index, others[0], axis=2)
    fresh = _split_heads(index, joined.inputs[1])
    if start is None or fresh is None:
        return None
    return _Cache(joined.inputs[0], fresh, start, others[0].outputs[0])


def _joined_heads(index: Index, name: str, bias: str) -> str | None:
    """(B, H, C, dk) that becomes (B, C, D); its last size is known."""
    turned = index.sole_reader(name, "Transpose")
    if turned is None or turned.attributes.get("perm") != list(_HEADS_FIRST):
        return None
    joined = index.sole_reader(turned.outputs[0], "Reshape")
    sizes = index.node(joined.inputs[1], "Concat") if joined else None
    heads = index.graph.array(bias)
    if joined is None or sizes is None or heads is None or len(sizes.inputs) != 3:
        return None
    return joined.outputs[0] if index.numbers(sizes.inputs[2]) == [heads.size] else None


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
