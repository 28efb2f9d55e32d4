"""Opening a model file and looking inside."""

import json
import math
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from halfbyte import _core
from halfbyte.engine.tensor import Tensor
from halfbyte.errors import ModelFileError

_BITS = {"float32": 32, "bool": 8, "int64": 64, "int8": 8, "int16": 16, "int32": 32}
_BITS |= {f"packed{bits}": bits for bits in range(1, 9)}
LARGEST_CODE_BITS = 8
_TEST_TYPES = {1: ("float32", 4), 2: ("int64", 8), 3: ("bool", 1), 4: ("float32", 2)}
_FLOAT16 = 4


@dataclass(frozen=True)
class Stored:
    """A tensor of a layer as it lies in the file.

    Attributes:
        name: in its graph.
        num_parameters: trained numbers; 0 for scales, which are what quantisation adds.
        num_bytes: in the file.
        offset_bytes: in the section of weights; tensors that are equal share their place.
    """

    name: str
    num_parameters: int
    num_bytes: int
    offset_bytes: int


@dataclass(frozen=True)
class Layer:
    """A node with weights.

    Attributes:
        name: of its largest tensor.
        op: operator, such as "Linear".
        bits: of one weight in a kernel.
        activation_bits: of the integers that it multiplies them with; 0 where it does not say.
        shape: of that tensor: (outputs, inputs) for quantised layers.
        tensors: all of them, in the operator's order: codes, scales, bias.
    """

    name: str
    op: str
    bits: int
    activation_bits: int
    shape: tuple[int, ...]
    tensors: tuple[Stored, ...]

    @property
    def num_parameters(self) -> int:
        """Trained numbers of all its tensors, biases too."""
        return sum(tensor.num_parameters for tensor in self.tensors)

    @property
    def num_bytes(self) -> int:
        """In the file, with scales and bias."""
        return sum(tensor.num_bytes for tensor in self.tensors)

    @property
    def offset_bytes(self) -> int:
        """Where its largest tensor lies."""
        return max(self.tensors, key=lambda tensor: tensor.num_bytes).offset_bytes

    @property
    def constants(self) -> tuple[str, ...]:
        """Names of all its tensors."""
        return tuple(tensor.name for tensor in self.tensors)

    @property
    def kind(self) -> str:
        """Operator and number format: "Linear w4a8", "Embedding w4", "LayerNormalization"."""
        weights = f" w{self.bits}" if self.bits <= LARGEST_CODE_BITS else ""
        return self.op + weights + (f"a{self.activation_bits}" if self.activation_bits else "")

    @property
    def bits_per_weight(self) -> float:
        """Stored bits of the layer, scales and bias counted, for each number of that tensor."""
        return 8 * self.num_bytes / max(1, math.prod(self.shape))


@dataclass(frozen=True)
class Node:
    """An operator in a graph.

    Attributes:
        op: such as "IntLayerNorm".
        constants: names of those among its inputs, in their order.
        numbers: its attributes that are whole numbers.
    """

    op: str
    constants: tuple[str, ...]
    numbers: dict[str, int]


@dataclass(frozen=True)
class GraphInput:
    """An input of a graph; an axis is a size, or a name where any size may come."""

    name: str
    dtype: str
    axes: tuple[int | str, ...]


@dataclass(frozen=True)
class Audit:
    """What the nodes of a graph compute on; a node is its operator and its first output.

    Attributes:
        integer: read and write no float number.
        boundary: features to codes, codes to numbers, and what only reads such numbers.
        floating: the others. The graph is integer-only if there are none.
    """

    integer: list[tuple[str, str]]
    boundary: list[tuple[str, str]]
    floating: list[tuple[str, str]]


def operators() -> list[str]:
    """Names of the operators that the engine runs."""
    return _core.graph.operators()


class ModelFile:
    """An open model file (docs/model-file.md): memory-mapped, checked, immutable.

    What holds one can be pickled, as the path: whoever unpickles it opens the file again.

    Raises:
        ModelFileError: the file is missing, damaged, of another version, or holds a graph that
            cannot be run.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.core = _core.graph.Model.open(str(path))
        self.metadata: dict[str, Any] = self._read_metadata()

    def __reduce__(self) -> tuple[type["ModelFile"], tuple[Path]]:
        return ModelFile, (self.path.absolute(),)

    def _read_metadata(self) -> dict[str, Any]:
        try:
            metadata = json.loads(self.core.section("meta"))
        except (ValueError, RecursionError) as error:
            raise ModelFileError(f"{self.path}: section 'meta' is not JSON ({error})") from error
        if not isinstance(metadata, dict):
            raise ModelFileError(
                f"{self.path}: section 'meta' must be a JSON object; compile it again"
            )
        return metadata

    @property
    def num_bytes(self) -> int:
        """Size of the file."""
        return self.core.num_bytes

    @property
    def graph_names(self) -> list[str]:
        """Names of the graphs, sorted."""
        return self.core.graph_names()

    @property
    def hearing_graph(self) -> str:
        """The graph that hears features.

        Raises:
            ModelFileError: there is none.
        """
        for graph in self.graph_names:
            if any(entry.name == "features" for entry in self.inputs(graph)):
                return graph
        raise ModelFileError(f"{self.path}: no graph has an input 'features'; compile it again")

    @property
    def sections(self) -> dict[str, int]:
        """Section -> its size in bytes, in the order of the file."""
        return dict(self.core.sections())

    def inputs(self, graph: str) -> list[GraphInput]:
        """Inputs of a graph, states included."""
        return [GraphInput(*entry) for entry in self.core.inputs(graph)]

    def outputs(self, graph: str) -> list[str]:
        """Names of a graph's outputs."""
        return self.core.outputs(graph)

    def layers(self, graph: str) -> list[Layer]:
        """Nodes with weights, in the order in which they run."""
        return [
            Layer(name, op, _BITS[dtype], bits, shape, tuple(Stored(*tensor) for tensor in tensors))
            for name, op, dtype, bits, shape, tensors in self.core.layers(graph)
        ]

    def stored_layers(self) -> list[Layer]:
        """Layers of all graphs, less those whose weights an earlier graph has at the same place.

        The graphs of a decoder that runs whole sentences, or token by token, share their weights.
        """
        first_graph: dict[int, str] = {}
        return [
            layer
            for graph in self.graph_names
            for layer in self.layers(graph)
            if first_graph.setdefault(layer.offset_bytes, graph) == graph
        ]

    def nodes(self, graph: str) -> list[Node]:
        """All nodes, in the order in which they run."""
        return [Node(*entry) for entry in self.core.nodes(graph)]

    def audit(self, graph: str | None = None) -> Audit:
        """Whether a graph, the hearing one if none is named, computes on integers alone.

        A float may become codes in QuantizeFeatures alone, straight from an input of the graph;
        numbers from Dequantize may be computed with, but never come back to integers.
        """
        return Audit(*self.core.audit(graph or self.hearing_graph))

    def constant(self, graph: str, name: str) -> Tensor:
        """A constant as the engine reads it; packed codes have the type `packed4` or the like.

        Raises:
            UsageError: the graph has no constant of that name.
        """
        return Tensor(*self.core.constant(graph, name))

    def test_vector(self) -> dict[str, Tensor]:
        """Tensors of the section `test`; empty if there is none.

        Raises:
            ModelFileError: the section breaks the format.
        """
        if "test" not in self.sections:
            return {}
        try:
            return _read_tensors(self.core.section("test"))
        except (struct.error, KeyError, UnicodeDecodeError) as error:
            raise ModelFileError(f"{self.path}: section 'test' is damaged ({error})") from error


def _read_tensors(section: bytes) -> dict[str, Tensor]:
    """Reads what `halfbyte.export.hb_writer.tensor_section` writes."""
    at = 4
    tensors = {}
    for _ in range(struct.unpack_from("<I", section)[0]):
        (name_bytes,) = struct.unpack_from("<I", section, at)
        name = struct.unpack_from(f"<{name_bytes}s", section, at + 4)[0].decode()
        at += 4 + name_bytes
        number, rank = struct.unpack_from("<II", section, at)
        shape = struct.unpack_from(f"<{rank}Q", section, at + 8)
        at += 8 + 8 * rank
        dtype, item_bytes = _TEST_TYPES[number]
        count = math.prod(shape)
        (data,) = struct.unpack_from(f"<{count * item_bytes}s", section, at)
        at += len(data)
        if number == _FLOAT16:
            data = struct.pack(f"<{count}f", *struct.unpack(f"<{count}e", data))
        tensors[name] = Tensor(dtype, shape, data)
    return tensors
