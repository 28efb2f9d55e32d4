"""A graph between ONNX and the model file: nodes over named values, constants as numpy arrays."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import inliner, numpy_helper

from halfbyte.errors import UsageError
from halfbyte.ops.operator import DOMAIN
from halfbyte.quant.codecs.codec import Codec

Array = NDArray[np.generic]
Attributes = dict[str, Any]  # int, float, str, list of int, or TensorProto (Constant)

STATE_PREFIX = "state."
NEXT_PREFIX = "next."


@dataclass(frozen=True)
class PackedCodes:
    """Codes of a quantised layer, (N, K) int8, that the file holds packed by their codec."""

    codes: NDArray[np.int8]
    codec: Codec


Constant = Array | PackedCodes


@dataclass
class Node:
    """One operator; an input left out is ""."""

    op: str
    inputs: list[str]
    outputs: list[str]
    attributes: Attributes = field(default_factory=dict)


@dataclass(frozen=True)
class Input:
    """`dtype` is float32, int64 or bool; an axis is a size, or a name where it is open."""

    name: str
    dtype: np.dtype[np.generic]
    axes: tuple[int | str, ...]


@dataclass(frozen=True)
class StateValue:
    """Input `name` takes, in the next step, what this step gives as output `next_name`."""

    name: str
    next_name: str
    initial: Array


@dataclass
class Graph:
    """Nodes are in an order in which each value is written before it is read."""

    name: str
    nodes: list[Node]
    constants: dict[str, Constant]
    inputs: list[Input]
    outputs: dict[str, str]  # the name that callers use -> value
    states: list[StateValue]
    ranks: dict[str, int] = field(default_factory=dict)  # of values, where the ONNX file tells
    halves: set[str] = field(default_factory=set)  # float16 in ONNX, held as float32 here
    _num_new: int = 0

    def new_name(self, stem: str) -> str:
        """A value name that is not in use."""
        self._num_new += 1
        return f"{stem}.{self._num_new}"

    def array(self, name: str) -> Array | None:
        """The constant of that name, or None if the value is computed or packed."""
        constant = self.constants.get(name)
        return constant if isinstance(constant, np.ndarray) else None

    def add_constant(self, stem: str, array: Array) -> str:
        """Adds a constant and returns its name."""
        name = self.new_name(stem)
        self.constants[name] = array
        return name


def plain(array: Array) -> Array:
    """The engine's types: small integers become int64, float16 becomes float32; both exact."""
    if array.dtype == np.float16:
        return array.astype(np.float32)
    if array.dtype in (np.int32, np.int16, np.uint8, np.uint32):
        return array.astype(np.int64)
    return array


def read_onnx(model: onnx.ModelProto, name: str) -> Graph:
    """The graph of an ONNX model.

    Functions of other domains than `halfbyte` are inlined. Inputs named `state.*` with an
    initialiser of that name and an output `next.*` are states; the initialiser is their initial
    value.

    Raises:
        UsageError: a node holds a subgraph (If, Loop, Scan), or an input has a type that the engine
            does not have.
    """
    others = [(f.domain, f.name) for f in model.functions if f.domain != DOMAIN]
    if others:
        model = inliner.inline_selected_functions(model, others)
    graph = model.graph
    arrays = {tensor.name: _array(tensor) for tensor in graph.initializer}
    outputs = {value.name: value.name for value in graph.output}
    states = []
    for value in graph.input:
        next_name = NEXT_PREFIX + value.name.removeprefix(STATE_PREFIX)
        if value.name.startswith(STATE_PREFIX) and value.name in arrays and next_name in outputs:
            states.append(StateValue(value.name, next_name, arrays.pop(value.name)))
    inputs = [_input(value) for value in graph.input if value.name not in arrays]
    ranks = {v.name: len(v.type.tensor_type.shape.dim) for v in [*graph.value_info, *graph.input]}
    halves = {t.name for t in graph.initializer if t.data_type == onnx.TensorProto.FLOAT16}
    nodes = list(_nodes(graph.node))
    return Graph(name, nodes, dict(arrays), inputs, outputs, states, ranks, halves)


def _array(tensor: onnx.TensorProto) -> Array:
    array = numpy_helper.to_array(tensor)
    if tensor.data_type in (onnx.TensorProto.INT4, onnx.TensorProto.INT8):
        return array.astype(np.int8)
    return plain(array)


def _input(value: onnx.ValueInfoProto) -> Input:
    tensor = value.type.tensor_type
    dtype = np.dtype(onnx.helper.tensor_dtype_to_np_dtype(tensor.elem_type))
    if dtype not in (np.float32, np.int64, np.bool_, np.int8, np.int16, np.int32):
        raise UsageError(
            f"input {value.name} is {dtype}; the engine takes float32, bool, int8, 16, 32 and 64"
        )
    axes = tuple(
        axis.dim_value if axis.HasField("dim_value") else axis.dim_param or f"{value.name}.{i}"
        for i, axis in enumerate(tensor.shape.dim)
    )
    return Input(value.name, dtype, axes)


def _nodes(protos: Iterable[onnx.NodeProto]) -> Iterable[Node]:
    for proto in protos:
        if proto.domain not in ("", "ai.onnx", DOMAIN):
            raise UsageError(f"operator {proto.domain}::{proto.op_type} is unknown; use ONNX's own")
        attributes = {}
        for attribute in proto.attribute:
            if attribute.HasField("g"):
                raise UsageError(f"{proto.op_type} holds a subgraph; export without control flow")
            value = onnx.helper.get_attribute_value(attribute)
            attributes[attribute.name] = value.decode() if isinstance(value, bytes) else value
        yield Node(proto.op_type, list(proto.input), list(proto.output), attributes)
