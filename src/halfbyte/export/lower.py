"""From ONNX operators to the normal forms that the engine runs (csrc/ops).

Nodes are rewritten one after another: names of dropped nodes are replaced, nodes whose inputs are
constants are computed, the others go through the rule of their operator. Then patterns of several
nodes are fused (`fuse.py`) and what nothing reads is dropped.
"""

from collections.abc import Callable

import numpy as np
import onnx
from onnx.reference import ReferenceEvaluator

from halfbyte.errors import UsageError
from halfbyte.export.fuse import fuse, fuse_blocks
from halfbyte.export.graph_ir import Array, Attributes, Graph, Node, PackedCodes, plain
from halfbyte.export.typed_constants import with_typed_constants
from halfbyte.ops.operator import OPSET, operators
from halfbyte.quant.formats import FLOAT_BITS, FORMATS

Rule = Callable[[Graph, Node], list[Node]]

LARGEST_GROWTH_BYTES = 1 << 16  # constants that grow more when computed stay for plan time
DTYPE_NUMBERS = {  # ONNX type -> type of the model file
    onnx.TensorProto.FLOAT: 1,
    onnx.TensorProto.INT64: 2,
    onnx.TensorProto.INT32: 2,
    onnx.TensorProto.BOOL: 3,
}
MOVING_OPS = {
    *("Concat", "Constant", "Expand", "Flatten", "Gather", "Identity", "Reshape", "Slice"),
    *("Split", "Squeeze", "Tile", "Transpose", "Unsqueeze"),
}
STATIC_BITS = 9  # of a code less its zero point
STEP_INPUT, LARGEST_STEP = 5, 2.0**100


def lower(graph: Graph) -> None:
    """Brings a graph into the engine's normal forms, in place.

    Raises:
        UsageError: an operator or a setting of one that the engine cannot run.
    """
    nodes, graph.nodes = graph.nodes, []
    renamed: dict[str, str] = {}
    for node in nodes:
        node.inputs = [renamed.get(name, name) for name in node.inputs]
        _follow_halves(graph, node)
        if node.op in ("Identity", "Dropout") and node.outputs[0] not in graph.outputs.values():
            renamed[node.outputs[0]] = node.inputs[0]
        elif not _fold(graph, node):
            rule = with_typed_constants if node.op in operators() else _keep
            graph.nodes += RULES.get(node.op, rule)(graph, node)
    fuse(graph)
    fuse_blocks(graph)
    drop_unused(graph)


def drop_unused(graph: Graph) -> None:
    """Removes nodes and constants that no output depends on."""
    used = set(graph.outputs.values())
    kept = []
    for node in reversed(graph.nodes):
        if used.intersection(node.outputs):
            used.update(node.inputs)
            kept.append(node)
    graph.nodes = kept[::-1]
    graph.constants = {name: c for name, c in graph.constants.items() if name in used}


def _follow_halves(graph: Graph, node: Node) -> None:
    """Float16 values may only be moved and cast: we hold them as float32, with other arithmetic."""
    if node.op == "Constant" and "value" in node.attributes:
        is_half = node.attributes["value"].data_type == onnx.TensorProto.FLOAT16
    else:
        is_half = not graph.halves.isdisjoint(node.inputs)
    if not is_half or node.op in ("Cast", "Shape", *operators()):
        return
    if node.op not in MOVING_OPS:
        raise UsageError(f"{node.op} {node.outputs[0]} computes in float16; cast to float32 before")
    graph.halves.update(node.outputs)


def _fold(graph: Graph, node: Node) -> bool:
    """Computes a node whose inputs are all constants, unless the result is much larger."""
    arrays = {name: graph.array(name) for name in node.inputs if name}
    if node.op in operators():
        return False
    if any(array is None for array in arrays.values()):
        return False
    in_bytes = sum(array.nbytes for array in arrays.values() if array is not None)
    if _grown_bytes(node, list(arrays.values())) > in_bytes + LARGEST_GROWTH_BYTES:
        return False
    proto = onnx.helper.make_node(node.op, node.inputs, node.outputs, **node.attributes)
    value_infos = [onnx.ValueInfoProto(name=name) for name in arrays]
    outputs = [onnx.ValueInfoProto(name=name) for name in node.outputs]
    folded = onnx.helper.make_graph([proto], "fold", value_infos, outputs)
    opsets = [onnx.helper.make_opsetid("", OPSET)]
    model = onnx.helper.make_model(folded, opset_imports=opsets, ir_version=10)
    with np.errstate(all="ignore"):  # NaN is refused once all is lowered
        results = ReferenceEvaluator(model).run(None, arrays)
    if sum(np.asarray(result).nbytes for result in results) > in_bytes + LARGEST_GROWTH_BYTES:
        return False
    for name, result in zip(node.outputs, results, strict=True):
        graph.constants[name] = plain(np.asarray(result))
    return True


def _grown_bytes(node: Node, arrays: list[Array | None]) -> float:
    """At least so many bytes are the result of an operator that makes much of little."""
    numbers = [np.asarray(array).astype(float).reshape(-1) for array in arrays]
    if node.op in ("ConstantOfShape", "Expand", "Tile"):
        return float(np.prod(numbers[-1]))
    if node.op == "Range":
        start, limit, delta = (number[0] for number in numbers)
        return abs((limit - start) / delta) if delta else np.inf
    return 0.0


def _keep(_graph: Graph, node: Node) -> list[Node]:
    return [node]


def _chunk(graph: Graph, node: Node) -> list[Node]:
    """The engine is told from where on keys, values or frames are kept: a chunk's length on."""
    chunk = graph.new_name(node.outputs[0])
    length = Node("Shape", [node.inputs[0]], [chunk], {"start": 1, "end": 2})
    return [length, Node(node.op, [*node.inputs, chunk], node.outputs, node.attributes)]


def _chunk_conv(graph: Graph, node: Node) -> list[Node]:
    """Weights (D, 1, taps) become (taps, D)."""
    x, past, weight, bias = node.inputs
    (typed,) = with_typed_constants(graph, node)
    filters = graph.array(weight)
    assert filters is not None  # with_typed_constants has looked
    turned = graph.add_constant(weight, np.ascontiguousarray(filters[:, 0].T))
    return _chunk(graph, Node(typed.op, [x, past, turned, bias], typed.outputs))


def _constant_input(graph: Graph, node: Node, index: int) -> Array | None:
    """A constant input, None where it is left out. Computed ones are refused."""
    if len(node.inputs) <= index or not node.inputs[index]:
        return None
    array = graph.array(node.inputs[index])
    if array is None:
        raise UsageError(f"{node.op} {node.outputs[0]}: input {index} must be a constant")
    return array


def _integers(array: Array) -> list[int]:
    return [int(number) for number in array.reshape(-1)]


def _axes_to_attribute(graph: Graph, node: Node) -> list[Node]:
    axes = _constant_input(graph, node, 1)
    attributes = {k: v for k, v in node.attributes.items() if k in ("axes", "keepdims")}
    if axes is not None and axes.size:
        attributes["axes"] = _integers(axes)
    elif node.attributes.get("noop_with_empty_axes"):
        return [Node("Identity", node.inputs[:1], node.outputs)]
    return [Node(node.op, node.inputs[:1], node.outputs, attributes)]


def _split(graph: Graph, node: Node) -> list[Node]:
    sizes = _constant_input(graph, node, 1)
    attributes: Attributes = {"axis": node.attributes.get("axis", 0)}
    if sizes is not None:
        attributes["split"] = _integers(sizes)
    return [Node("Split", node.inputs[:1], node.outputs, attributes)]


def _cumsum(graph: Graph, node: Node) -> list[Node]:
    axis = _constant_input(graph, node, 1)
    if node.attributes.get("exclusive") or node.attributes.get("reverse") or axis is None:
        raise UsageError(f"CumSum {node.outputs[0]}: exclusive and reverse sums do not run")
    return [Node("CumSum", node.inputs[:1], node.outputs, {"axis": int(axis.reshape(-1)[0])})]


def _cast(graph: Graph, node: Node) -> list[Node]:
    to = node.attributes["to"]
    if to not in DTYPE_NUMBERS:
        name = onnx.TensorProto.DataType.Name(to)
        raise UsageError(f"Cast {node.outputs[0]} to {name}; the engine has float32, int64, bool")
    return [Node("Cast", node.inputs, node.outputs, {"to": DTYPE_NUMBERS[to]})]


def _pairwise(graph: Graph, node: Node) -> list[Node]:
    """Max and Min of several inputs become a chain."""
    nodes, last = [], node.inputs[0]
    for index, name in enumerate(node.inputs[1:], 2):
        is_end = index == len(node.inputs)
        out = node.outputs[0] if is_end else graph.new_name(node.outputs[0])
        nodes.append(Node(node.op, [last, name], [out]))
        last = out
    return nodes or [Node("Identity", node.inputs, node.outputs)]


def _clip(graph: Graph, node: Node) -> list[Node]:
    bounds = [("Max", 1), ("Min", 2)]
    present = [(op, i) for op, i in bounds if len(node.inputs) > i and node.inputs[i]]
    nodes, last = [], node.inputs[0]
    for position, (op, index) in enumerate(present, 1):
        is_end = position == len(present)
        out = node.outputs[0] if is_end else graph.new_name(node.outputs[0])
        nodes.append(Node(op, [last, node.inputs[index]], [out]))
        last = out
    return nodes or [Node("Identity", node.inputs[:1], node.outputs)]


def _constant_of_shape(graph: Graph, node: Node) -> list[Node]:
    value = node.attributes.get("value")
    array = np.zeros(1, np.float32) if value is None else onnx.numpy_helper.to_array(value)
    name = graph.add_constant(node.outputs[0], plain(array.reshape(())))
    return [Node("Expand", [name, node.inputs[0]], node.outputs)]


def _matmul(graph: Graph, node: Node) -> list[Node]:
    weight = graph.array(node.inputs[1])
    if weight is None or weight.ndim != 2:
        return [node]
    return [Node("LinearFloat", node.inputs, node.outputs)]


def _gemm(graph: Graph, node: Node) -> list[Node]:
    if node.attributes.get("alpha", 1.0) != 1.0 or node.attributes.get("beta", 1.0) != 1.0:
        raise UsageError(f"Gemm {node.outputs[0]}: alpha and beta must be 1")
    nodes: list[Node] = []
    operands = node.inputs[:2]
    for index, attribute in enumerate(("transA", "transB")):
        if not node.attributes.get(attribute):
            continue
        transpose = Node("Transpose", [operands[index]], [graph.new_name(operands[index])])
        transpose.attributes["perm"] = [1, 0]
        if not _fold(graph, transpose):
            nodes.append(transpose)
        operands[index] = transpose.outputs[0]
    if len(node.inputs) < 3 or not node.inputs[2]:
        return nodes + _matmul(graph, Node("MatMul", operands, node.outputs))
    product = graph.new_name(node.outputs[0])
    nodes += _matmul(graph, Node("MatMul", operands, [product]))
    return [*nodes, Node("Add", [product, node.inputs[2]], node.outputs)]


def _layer_norm(graph: Graph, node: Node) -> list[Node]:
    if len(node.outputs) > 1 and any(node.outputs[1:]):
        raise UsageError(f"LayerNormalization {node.outputs[0]}: only its first output runs")
    weight = graph.array(node.inputs[1])
    axis = node.attributes.get("axis", -1)
    if weight is None or weight.ndim != 1:
        raise UsageError(f"LayerNormalization {node.outputs[0]}: the weight must be constant, (D,)")
    inputs = list(node.inputs)
    if len(inputs) < 3 or not inputs[2]:
        inputs[2:] = [graph.add_constant(node.inputs[1], np.zeros_like(weight))]
    attributes: Attributes = {"axis": axis}
    attributes["epsilon"] = node.attributes.get("epsilon", 1e-5)
    return [Node(node.op, inputs, node.outputs[:1], attributes)]


def _conv(graph: Graph, node: Node) -> list[Node]:
    """Depthwise and one-tap 1-D convolutions run on (B, T, D) instead of (B, D, T)."""
    weight = graph.array(node.inputs[1])
    group = node.attributes.get("group", 1)
    plain_steps = all(set(node.attributes.get(key, [1])) == {1} for key in ("strides", "dilations"))
    padding = node.attributes.get("auto_pad", "NOTSET")
    if weight is None or weight.ndim != 3 or not plain_steps or padding != "NOTSET":
        raise UsageError(f"Conv {node.outputs[0]}: only 1-D, step 1, constant weights run")
    is_depthwise = group == weight.shape[0] and weight.shape[1] == 1
    if not is_depthwise and (group != 1 or weight.shape[2] != 1):
        raise UsageError(f"Conv {node.outputs[0]}: only depthwise or one-tap convolutions run")
    return _time_major_conv(graph, node, weight, is_depthwise)


def _time_major_conv(graph: Graph, node: Node, weight: Array, is_depthwise: bool) -> list[Node]:
    stem = node.outputs[0]
    turned, result = graph.new_name(stem), graph.new_name(stem)
    nodes = [Node("Transpose", node.inputs[:1], [turned], {"perm": [0, 2, 1]})]
    before, after = node.attributes.get("pads", [0, 0])
    if before or after:
        pads = graph.add_constant(stem, np.array([0, before, 0, 0, after, 0], np.int64))
        padded = graph.new_name(stem)
        nodes.append(Node("Pad", [turned, pads], [padded]))
        turned = padded
    bias = node.inputs[2] if len(node.inputs) > 2 else ""
    if not bias:
        bias = graph.add_constant(stem, np.zeros(weight.shape[0], weight.dtype))
    matrix = weight[:, 0, :].T if is_depthwise else weight[:, :, 0].T  # (taps, D) or (K, N)
    name = graph.add_constant(node.inputs[1], np.ascontiguousarray(matrix))
    op = "DepthwiseConv" if is_depthwise else "LinearFloat"
    nodes.append(Node(op, [turned, name, bias], [result]))
    nodes.append(Node("Transpose", [result], node.outputs, {"perm": [0, 2, 1]}))
    return nodes


def _linear(graph: Graph, node: Node) -> list[Node]:
    act_bits = node.attributes.get("activation_bits", FLOAT_BITS)
    nodes = with_typed_constants(graph, node)
    bits = _weight(graph, node).codec.bits
    if (bits, act_bits) not in {(f.weight_bits, f.activation_bits) for f in FORMATS.values()}:
        raise UsageError(
            f"{node.op} {node.outputs[0]} has weights of {bits} bits and activations of "
            f"{act_bits}; the engine runs {', '.join(FORMATS)}"
        )
    if act_bits != FLOAT_BITS:
        _check_sums(node, _weight(graph, node), act_bits)
    return nodes


def _static_linear(graph: Graph, node: Node) -> list[Node]:
    nodes = with_typed_constants(graph, node)
    _check_sums(node, _weight(graph, node), STATIC_BITS)
    step = graph.array(node.inputs[STEP_INPUT])
    if step is None or step.size != 1 or not 1 / LARGEST_STEP <= float(step) <= LARGEST_STEP:
        raise UsageError(
            f"{node.op} {node.outputs[0]} has a step of {step} between codes of its input; "
            "expected 2^-100 to 2^100, so look at the range that it was trained with"
        )
    return nodes


def _weight(graph: Graph, node: Node) -> PackedCodes:
    packed = graph.constants[node.inputs[1]]
    assert isinstance(packed, PackedCodes)
    return packed


def _check_sums(node: Node, weight: PackedCodes, act_bits: int) -> None:
    num_inputs, most = weight.codes.shape[1], largest_num_inputs(weight.codec.bits, act_bits)
    if num_inputs > most:
        raise UsageError(
            f"{node.op} {node.outputs[0]} sums {num_inputs} products; {most} is the most that "
            "int32 holds for sure, so split the layer"
        )


def largest_num_inputs(weight_bits: int, act_bits: int) -> int:
    """Most inputs of a layer whose int32 sums cannot overflow (docs/integer-spec.md)."""
    return (2**31 - 1) >> (weight_bits + act_bits - 2)


RULES: dict[str, Rule] = {
    "Squeeze": _axes_to_attribute,
    "Unsqueeze": _axes_to_attribute,
    "ReduceMax": _axes_to_attribute,
    "ReduceMean": _axes_to_attribute,
    "ReduceMin": _axes_to_attribute,
    "ReduceSum": _axes_to_attribute,
    "Split": _split,
    "CumSum": _cumsum,
    "Cast": _cast,
    "Max": _pairwise,
    "Min": _pairwise,
    "Clip": _clip,
    "ConstantOfShape": _constant_of_shape,
    "MatMul": _matmul,
    "Gemm": _gemm,
    "LayerNormalization": _layer_norm,
    "Conv": _conv,
    "Linear": _linear,
    "WeightOnlyLinear": _linear,
    "StaticLinear": _static_linear,
    "ChunkAttention": _chunk,
    "ChunkConv": _chunk_conv,
}
