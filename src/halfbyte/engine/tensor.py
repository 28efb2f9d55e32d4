"""Tensors without numpy."""

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from halfbyte.errors import InputError

FORMATS = {"float32": "f", "int64": "q", "bool": "?", "int8": "b", "int16": "h", "int32": "i"}


@dataclass(frozen=True)
class Tensor:
    """Row-major numbers with a type and a shape.

    `memoryview(tensor.view())` or `numpy.asarray(tensor.view())` read it without copying.

    Attributes:
        dtype: "float32", "int64", "bool", "int8", "int16" or "int32".
        shape: size of each axis.
        data: the elements, little-endian.
    """

    dtype: str
    shape: tuple[int, ...]
    data: bytes

    @classmethod
    def of(
        cls, numbers: Sequence[float], shape: tuple[int, ...], dtype: str = "float32"
    ) -> "Tensor":
        """A tensor of these numbers.

        Raises:
            InputError: there are more or fewer numbers than the shape has places.

        >>> Tensor.of([1, 2, 3], (3, 1)).tolist()
        [[1.0], [2.0], [3.0]]
        """
        data = struct.pack(f"<{len(numbers)}{FORMATS[dtype]}", *numbers)
        num_elements = 1
        for size in shape:
            num_elements *= size
        if num_elements != len(numbers):
            raise InputError(f"got {len(numbers)} numbers; shape {shape} has {num_elements}")
        return cls(dtype, shape, data)

    def view(self) -> Any:
        """The elements as a buffer of this type and shape; flat if an axis has size 0."""
        flat: Any = memoryview(self.data)
        if 0 in self.shape:
            return flat.cast(FORMATS[self.dtype])
        return flat.cast(FORMATS[self.dtype], list(self.shape))

    def tolist(self) -> list[Any]:
        """Nested lists of Python numbers."""
        return self.view().tolist()
