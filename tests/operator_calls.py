"""One operator of the engine alone, on numpy arrays."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from halfbyte import _core
from halfbyte.engine import Tensor

Array = NDArray[Any]
Packed = tuple[str, tuple[int, ...], Any]


def packed(codes: NDArray[np.int8], bits: int) -> Packed:
    """Codes (N, K) as the engine holds them."""
    return f"packed{bits}", codes.shape, _core.kernels.pack(codes, bits)


def run(
    operator: str, *inputs: Any, isa: str = "", in_place: bool = False, **attributes: Any
) -> Array:
    """The operator's output. It is refused if it writes beside its output."""
    results = _core.run(operator, inputs, attributes, isa, in_place=in_place)
    (result,) = (Tensor(*parts) for parts in results)
    return np.frombuffer(result.data, result.dtype).reshape(result.shape)
