"""The sections `graph:NAME` and `weights` of a model file; docs/model-file.md has the layout."""

import struct
from collections.abc import Iterable
from typing import Any

import numpy as np

from halfbyte.errors import UsageError
from halfbyte.export.graph_ir import Array, Constant, Graph, Node, PackedCodes

ALIGNMENT_BYTES = 64
ABSENT_INPUT = 0xFFFFFFFF
FLOAT32, FLOAT16 = 1, 4
_ZEROS, _WHOLE, _ROW = 0, 1, 2  # how the initial value of a state is stored
DTYPE_NUMBERS = {np.dtype(np.float32): FLOAT32, np.dtype(np.int64): 2, np.dtype(np.bool_): 3}
DTYPE_NUMBERS |= {np.dtype(np.int8): 13, np.dtype(np.int16): 14, np.dtype(np.int32): 15}


def u32(*numbers: int) -> bytes:
    """Little-endian 32-bit numbers."""
    return struct.pack(f"<{len(numbers)}I", *numbers)


def i64(*numbers: int) -> bytes:
    """Little-endian 64-bit numbers."""
    return struct.pack(f"<{len(numbers)}q", *numbers)


class Weights:
    """The section `weights`: tensors at multiples of 64 bytes, equal ones stored once."""

    def __init__(self) -> None:
        self.content = bytearray()
        self._offsets: dict[bytes, int] = {}

    def place(self, stored: bytes) -> bytes:
        """Stores a tensor and returns its offset and size as the graph section holds them."""
        if stored not in self._offsets:
            self.content += bytes(-len(self.content) % ALIGNMENT_BYTES)
            self._offsets[stored] = len(self.content)
            self.content += stored
        return i64(self._offsets[stored], len(stored))


def _shape(shape: tuple[int, ...]) -> bytes:
    return u32(len(shape)) + i64(*shape)


def is_half(array: Array) -> bool:
    """Whether float16 holds each element of a float32 array exactly."""
    if array.dtype != np.float32 or array.size == 0:
        return False
    with np.errstate(over="ignore", invalid="ignore"):
        half = array.astype(np.float16)
        return half.astype(np.float32).tobytes() == array.tobytes()


class _GraphWriter:
    def __init__(self, graph: Graph, weights: Weights) -> None:
        self.graph = graph
        self.weights = weights
        self.strings: dict[str, int] = {}
        self.values: dict[str, int] = {}

    def string(self, text: str) -> int:
        return self.strings.setdefault(text, len(self.strings))

    def value(self, name: str) -> int:
        return self.values.setdefault(name, len(self.values))

    def section(self) -> bytes:
        graph = self.graph
        bodies = [
            self._list(self._constant(*item) for item in graph.constants.items()),
            self._list(self._input(i) for i in range(len(graph.inputs))),
            self._list(
                u32(self.value(value), self.string(name)) for name, value in graph.outputs.items()
            ),
            self._list(self._state(i) for i in range(len(graph.states))),
            self._list(self._node(node) for node in graph.nodes),
        ]
        names = [u32(self.string(self._stored_name(name))) for name in self.values]
        texts = [text.encode() for text in self.strings]
        head = self._list(u32(len(text)) + text for text in texts) + self._list(names)
        return head + b"".join(bodies)

    @staticmethod
    def _list(items: Iterable[bytes]) -> bytes:
        parts = list(items)
        return u32(len(parts)) + b"".join(parts)

    def _stored_name(self, name: str) -> str:
        """Callers name inputs, outputs and weights; the names of other values are left out."""
        graph = self.graph
        constant = graph.constants.get(name)
        is_packed = isinstance(constant, PackedCodes)
        is_weight = is_packed or (isinstance(constant, np.ndarray) and constant.ndim > 1)
        is_called = name in graph.outputs.values() or any(i.name == name for i in graph.inputs)
        return name if is_weight or is_called else ""

    def _constant(self, name: str, constant: Constant) -> bytes:
        if isinstance(constant, PackedCodes):
            number = constant.codec.tensor_type
            packed = constant.codec.pack(constant.codes).tobytes()
            head = u32(self.value(name), number, number) + _shape(constant.codes.shape)
            return head + self.weights.place(packed)
        number = self._dtype(name, constant)
        storage = number
        stored: Array = constant
        if is_half(constant):
            storage, stored = FLOAT16, constant.astype(np.float16)
        head = u32(self.value(name), number, storage) + _shape(constant.shape)
        return head + self.weights.place(np.ascontiguousarray(stored).tobytes())

    def _dtype(self, name: str, array: Array) -> int:
        if array.dtype not in DTYPE_NUMBERS:
            raise UsageError(
                f"graph {self.graph.name}: constant {name} is {array.dtype}; "
                "the engine has float32, bool and signed integers, so export it as one of these"
            )
        return DTYPE_NUMBERS[array.dtype]

    def _input(self, index: int) -> bytes:
        value = self.graph.inputs[index]
        axes = [a if isinstance(a, int) else -1 - self.string(a) for a in value.axes]
        number = DTYPE_NUMBERS[value.dtype]
        return u32(self.value(value.name), number, len(axes)) + i64(*axes)

    def _state(self, index: int) -> bytes:
        state = self.graph.states[index]
        names = [value.name for value in self.graph.inputs]
        outputs = list(self.graph.outputs)
        head = u32(names.index(state.name), outputs.index(state.next_name))
        head += _shape(state.initial.shape)
        initial = np.ascontiguousarray(state.initial)
        if not any(initial.tobytes()):
            return head + u32(_ZEROS)
        rows = initial.reshape(-1, initial.shape[-1] if initial.ndim else 1)
        if len(rows) > 1 and rows[0].tobytes() * len(rows) == initial.tobytes():
            return head + u32(_ROW) + self.weights.place(rows[0].tobytes())
        return head + u32(_WHOLE) + self.weights.place(initial.tobytes())

    def _node(self, node: Node) -> bytes:
        inputs = list(node.inputs)
        while inputs and not inputs[-1]:
            inputs.pop()
        numbers = [self.value(name) if name else ABSENT_INPUT for name in inputs]
        outputs = [self.value(name) for name in node.outputs]
        attributes = [self._attribute(*item) for item in node.attributes.items()]
        head = u32(self.string(node.op), len(numbers), *numbers, len(outputs), *outputs)
        return head + self._list(attributes)

    def _attribute(self, name: str, value: Any) -> bytes:
        head = u32(self.string(name))
        if isinstance(value, str):
            return head + u32(4, self.string(value))
        if isinstance(value, float):
            return head + u32(2) + struct.pack("<f", value)
        if isinstance(value, int):
            return head + u32(1) + i64(value)
        return head + u32(3, len(value)) + i64(*value)


def graph_section(graph: Graph, weights: Weights) -> bytes:
    """The bytes of a section `graph:NAME`; its constants go to `weights`.

    Raises:
        UsageError: a constant has a type that the engine does not have.
    """
    return _GraphWriter(graph, weights).section()
