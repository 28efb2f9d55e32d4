"""Whether a file holds the operators of an integer-only model beside its linear layers."""

from dataclasses import dataclass

import torch
from torch import nn

from halfbyte.engine import ModelFile
from halfbyte.errors import ModelFileError
from halfbyte.export.freeze import freeze, frozen_operators
from halfbyte.ops.operator import Attributes


@dataclass(frozen=True)
class _Stored:
    """A node of a file: its constants as bytes, and its whole numbers."""

    constants: list[bytes]
    numbers: dict[str, int]

    def has(self, constants: list[bytes], numbers: Attributes) -> bool:
        """Whether all these are there, the constants side by side and in this order."""
        count = len(constants)
        places = range(len(self.constants) - count + 1)
        is_there = any(self.constants[i : i + count] == constants for i in places)
        return is_there and numbers.items() <= self.numbers.items()


def raise_if_other_operators(model: nn.Module, file: ModelFile) -> None:
    """Refuse a file that lacks an operator of a trained integer-only model.

    Every norm, table, gate, attention, convolution over time and change of scale must be there
    with its constants, multipliers, shifts and offsets, to the last bit. Models of other
    arithmetic have none of them.

    Raises:
        ModelFileError: one is not, with its name.
    """
    operators = frozen_operators(freeze(model))
    if not operators:
        return
    stored = [
        _Stored([bytes(file.constant(graph, n).data) for n in node.constants], node.numbers)
        for graph in file.graph_names
        for node in file.nodes(graph)
    ]
    for name, operator in operators.items():
        constants = [_bytes(operator.get_buffer(constant)) for constant in operator.constants]
        if not any(node.has(constants, operator.attributes) for node in stored):
            raise ModelFileError(
                f"layer {name} is not the trained one: no operator of {file.path} has its "
                "constants and shifts; compile it again"
            )


def _bytes(tensor: torch.Tensor) -> bytes:
    return tensor.detach().contiguous().numpy().tobytes()
