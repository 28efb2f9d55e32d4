"""The operators as ONNX functions of the domain `halfbyte`, in standard operators.

A model file that carries these functions runs as it is in ONNX Runtime, with the bits of the numpy
references in `halfbyte.ops`.
"""

import onnx
from onnx import parser

from halfbyte.ops.operator import operators


def functions() -> list[onnx.FunctionProto]:
    """All functions of the domain `halfbyte`, for `ModelProto.functions`.

    The model must import the domain `halfbyte`, version 1, and opset 21.
    """
    return [parser.parse_function(operator.onnx_text) for operator in operators().values()]
