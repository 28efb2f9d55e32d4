"""Operators of integer-only models with what follows them: sums never leave the registers."""

from halfbyte.export.graph_ir import Node
from halfbyte.export.graph_pattern import Index

_NUM_INPUTS = {"IntLinearCodes": 4, "IntLayerNorm": 3}  # without a table
_KINDS = {
    "Requantize": "IntLinearCodes",
    "RequantizeWide": "IntLinearWide",
    "RequantizeAdd": "IntLinearWide",
}


def requantized_of(index: Index, node: Node) -> Node | None:
    """Sums of a layer, or of a depthwise convolution, and their rescaling."""
    if node.op not in _KINDS or index.num_reads(node.inputs[0]) != 1:
        return None
    sums = index.writer.get(node.inputs[0])
    if sums is None:
        return None
    inputs = [*sums.inputs, *node.inputs[1:]]
    if sums.op == "IntLinear":
        return Node(_KINDS[node.op], inputs, node.outputs, dict(node.attributes))
    if sums.op == "IntDepthwise" and node.op == "RequantizeWide":
        return Node("IntDepthwiseWide", inputs, node.outputs, dict(node.attributes))
    return None


def int_patch_linear_of(index: Index, node: Node) -> Node | None:
    """Patches of codes and a layer over them, as far as codes."""
    if node.op != "IntLinearCodes" or len(node.inputs) != _NUM_INPUTS[node.op]:
        return None
    patches = index.sole(node.inputs[0], "IntPatches")
    if patches is None:
        return None
    inputs = [*patches.inputs, *node.inputs[1:]]
    return Node("IntPatchLinear", inputs, node.outputs, node.attributes)


def with_table(index: Index, node: Node) -> Node | None:
    """A table after codes of a layer, or of a layer norm."""
    if node.op != "IntTable" or index.num_reads(node.inputs[0]) != 1:
        return None
    before = index.writer.get(node.inputs[0])
    if before is None:
        return None
    if len(before.inputs) != _NUM_INPUTS.get(before.op):
        return None
    return Node(before.op, [*before.inputs, node.inputs[1]], node.outputs, before.attributes)
