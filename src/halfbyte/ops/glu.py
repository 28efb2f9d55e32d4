"""Glu: a gated linear unit, y = a · sigmoid(b); x = (a, b) (..., 2D), y (..., D), float32."""

import numpy as np
import torch
from torch import Tensor

from halfbyte.ops.operator import Operator
from halfbyte.quant.reference import FloatArray


def reference(x: FloatArray) -> FloatArray:
    """The formula in numpy, with its exponential.

    >>> reference(np.float32([3, 0])).tolist()
    [1.5]
    """
    value, gate = np.split(x, 2, axis=-1)
    with np.errstate(over="ignore"):
        return value / (1 + np.exp(-gate))


def emit(x: Tensor) -> Tensor:
    """One node of a graph that is traced."""
    shape = (*x.shape[:-1], x.shape[-1] // 2)
    return OPERATOR.node((x,), torch.float32, shape, {})


OPERATOR = Operator(
    "Glu",
    "x",
    body="""
    value, gate = Split <axis = -1, num_outputs = 2> (x)
    opened = Sigmoid (gate)
    y = Mul (value, opened)""",
)
