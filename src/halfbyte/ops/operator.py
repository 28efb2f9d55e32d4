"""What every operator of the domain `halfbyte` has, and where to find them all.

An operator is one file, `ops/<name_in_snake_case>.py`; what differs from it in one type only stands
in the same file. The file holds, in this order:

- its specification: the docstring of the module, with the formula;
- `reference`, the formula in numpy, written to be read; every other implementation gives its bits;
- `compute`, the same on torch tensors, and the layer with a gradient that training uses, where it
  has one; the layer's `freeze` makes its node (`FrozenOperator`);
- `OPERATOR`, an `Operator`: name, inputs, attributes, and the function body as ONNX text, so that
  ONNX Runtime runs every exported file and nothing here imports onnx.

In C++ the file `csrc/ops/<name_in_snake_case>.cc` has the same name. `operators()` finds all files
of this folder; an operator of another package is known once its file has been imported.
"""

import importlib
import pkgutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor, nn

import halfbyte.ops

DOMAIN = "halfbyte"
OPSET = 21
PACKED = "packed"  # type of codes (N, K) that a model file holds packed, in `weight_bits` bits

Shape = tuple[int, ...]
Attributes = dict[str, Any]  # int, float, str or list of int

_known: dict[str, "Operator"] = {}


@dataclass(frozen=True)
class Operator:
    """One operator as ONNX files name it.

    Attributes:
        name: such as "IntGlu".
        inputs: their names in order, as in the body: "x, gates".
        body: lines of ONNX text, one node each; write `@name` for the value of an attribute.
        attributes: their names in order: "multiplier, divisor".
        constants: inputs that must be constants, and the type in which the engine reads each: a
            name of numpy ("int16"), or PACKED.
        outputs: their names in order.
    """

    name: str
    inputs: str
    body: str
    attributes: str = ""
    constants: Mapping[str, str] = field(default_factory=dict)
    outputs: str = "y"

    def __post_init__(self) -> None:
        if self.name in _known:
            raise ValueError(f"operator {self.name} is defined twice; give one another name")
        _known[self.name] = self

    @property
    def onnx_text(self) -> str:
        """The whole function, to be read by `onnx.parser.parse_function`."""
        head = f'<domain: "{DOMAIN}", opset_import: ["" : {OPSET}]>'
        listed = f" <{self.attributes}>" if self.attributes else ""
        signature = f"{self.name}{listed} ({self.inputs}) => ({self.outputs})"
        return f"{head}\n{signature}\n{{{self.body}\n}}"

    @property
    def has_packed_codes(self) -> bool:
        """Whether one of its constants is packed."""
        return PACKED in self.constants.values()

    def constant_inputs(self) -> dict[int, str]:
        """Positions of inputs that must be constants, and their types."""
        names = self.inputs.split(", ")
        return {names.index(name): dtype for name, dtype in self.constants.items()}

    def node(
        self, inputs: tuple[Tensor, ...], dtype: torch.dtype, shape: Shape, attributes: Attributes
    ) -> Tensor:
        """One node of an ONNX graph that is being traced; it has one output."""
        return torch.onnx.ops.symbolic(
            f"{DOMAIN}::{self.name}", inputs, attributes, dtype=dtype, shape=shape, version=1
        )

    def nodes(
        self,
        inputs: tuple[Tensor, ...],
        outputs: Sequence[tuple[torch.dtype, Shape]],
        attributes: Attributes,
    ) -> Sequence[Tensor]:
        """One node of an ONNX graph that is being traced; outputs by type and shape."""
        dtypes, shapes = zip(*outputs, strict=True)
        return torch.onnx.ops.symbolic_multi_out(
            f"{DOMAIN}::{self.name}", inputs, attributes, dtypes=dtypes, shapes=shapes, version=1
        )


def operators() -> dict[str, Operator]:
    """All operators by name."""
    _import_all()
    return _known


@cache
def _import_all() -> None:
    for module in pkgutil.iter_modules(halfbyte.ops.__path__, "halfbyte.ops."):
        importlib.import_module(module.name)


class FrozenOperator(nn.Module):
    """A layer as one node: its inputs are the first operand, constants, then other operands.

    Args:
        operator: what the node is.
        dtype: of the output.
        constants: inputs from the second on, in order; they keep their names in the file.
        attributes: of the node.
        shape: of the output, from that of the first operand; the same if not given.
        before: what the first operands go through on their way; nothing if not given.
    """

    def __init__(
        self,
        operator: Operator,
        dtype: torch.dtype,
        constants: dict[str, Tensor] | None = None,
        attributes: Attributes | None = None,
        shape: Callable[[Shape], Shape] | None = None,
        before: Sequence[nn.Module] = (),
    ):
        super().__init__()
        self.operator, self.dtype = operator, dtype
        self.attributes, self.shape = attributes or {}, shape or tuple
        self.constants = list(constants or {})
        self.before = nn.ModuleList(before)
        for key, value in (constants or {}).items():
            self.register_buffer(key, value)

    def forward(self, *operands: Tensor) -> Tensor:
        """The node; it can only be traced."""
        firsts = [take(x) for take, x in zip(self.before, operands, strict=False)]
        given = [*firsts, *operands[len(firsts) :]]
        inputs = (given[0], *(self.get_buffer(name) for name in self.constants), *given[1:])
        shape = self.shape(tuple(given[0].shape))
        return self.operator.node(inputs, self.dtype, shape, self.attributes)


@runtime_checkable
class Freezable(Protocol):
    """A layer that knows what it is in a file."""

    def freeze(self) -> nn.Module:
        """A module whose parameters are what the file stores, to be traced into ONNX."""
