"""Convolutions over patches of an image."""

from halfbyte.export.graph_ir import Node
from halfbyte.export.graph_pattern import Index


def patch_linear_of(index: Index, node: Node) -> Node | None:
    """PatchLinear: strided slices of an image, joined along the channels, and a layer over them."""
    if node.op != "Linear" or len(node.inputs) != 4:
        return None
    joined = index.sole(node.inputs[0], "Concat")
    if joined is None or joined.attributes["axis"] not in (-1, 3):
        return None
    parts = [_part(index, name) for name in joined.inputs]
    first = parts[0]
    if first is None:
        return None
    starts: list[int] = []
    ends: list[str] = []
    for part in parts:
        if part is None or part.source != first.source or part.steps != first.steps:
            return None
        starts += part.starts
        ends += part.ends
    attributes = {**node.attributes, "starts": starts, "steps": first.steps}
    inputs = [first.source, *node.inputs[1:], *ends]
    return Node("PatchLinear", inputs, node.outputs, attributes)


class _Part:
    """x[:, start : end : step, start' : end' : step'] of x (B, T, F, channels)."""

    def __init__(self) -> None:
        self.source = ""
        self.starts: list[int] = []
        self.ends: list[str] = []
        self.steps: list[int] = []


def _part(index: Index, name: str) -> _Part | None:
    part = _Part()
    for axis in (2, 1):
        node = index.node(name, "Slice")
        steps = index.numbers(node.inputs[4]) if node and len(node.inputs) > 4 else [1]
        if node is None or not steps or steps[0] < 1:
            return None
        bounds = index.slice_of(node, axis, steps[0])
        start = index.numbers(bounds[0]) if bounds else None
        if bounds is None or start is None or start[0] < 0:
            return None
        part.starts.insert(0, start[0])
        part.ends.insert(0, bounds[1])
        part.steps.insert(0, steps[0])
        name = node.inputs[0]
    part.source = name
    return part
