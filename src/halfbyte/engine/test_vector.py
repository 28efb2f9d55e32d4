"""The test vector of a model file, run on this machine."""

import math
from dataclasses import dataclass
from typing import Any

from halfbyte.engine.model_file import ModelFile
from halfbyte.engine.session import Session
from halfbyte.engine.tensor import FORMATS, Tensor
from halfbyte.errors import ModelFileError


@dataclass(frozen=True)
class Difference:
    """How far an output is from what the training graph gave.

    Attributes:
        output: its name.
        largest: of all numbers.
        share: the root mean square of the differences, in that of the expected numbers.
    """

    output: str
    largest: float
    share: float


def vector_differences(file: ModelFile) -> list[Difference]:
    """Of each output; nothing for a file without a test vector.

    Raises:
        ModelFileError: the vector does not fit the graph.
    """
    vector = file.test_vector()
    inputs = {n.removeprefix("input."): t for n, t in vector.items() if n.startswith("input.")}
    if not inputs:
        return []
    outputs = Session(file, file.hearing_graph).run(inputs)
    found = []
    for prefixed, expected in vector.items():
        name = prefixed.removeprefix("output.")
        if name != prefixed:
            output = outputs.get(name)
            if output is None or (output.dtype, output.shape) != (expected.dtype, expected.shape):
                raise ModelFileError(
                    f"{file.path}: its test vector does not fit its graph: {name!r}"
                )
            found.append(_difference(name, _numbers(output), _numbers(expected)))
    return found


def _difference(name: str, found: Any, expected: Any) -> Difference:
    differences = [float(a) - float(b) for a, b in zip(found, expected, strict=True)]
    is_number = all(map(math.isfinite, differences))
    largest = max(map(abs, differences), default=0.0) if is_number else math.nan
    size = math.hypot(*map(float, expected))
    share = math.hypot(*differences) / size if size > 0 else largest
    return Difference(name, largest, share if is_number else math.nan)


def _numbers(tensor: Tensor) -> Any:
    return tensor.view().cast("B").cast(FORMATS[tensor.dtype])
