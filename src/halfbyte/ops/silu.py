"""Silu: y = x · sigmoid(x), element by element; x and y float32."""

import numpy as np
import torch
from torch import Tensor

from halfbyte.ops.operator import Operator
from halfbyte.quant.reference import FloatArray


def reference(x: FloatArray) -> FloatArray:
    """The formula in numpy, with its exponential.

    >>> reference(np.float32([0, -100])).tolist()
    [0.0, -0.0]
    """
    with np.errstate(over="ignore"):
        return x / (1 + np.exp(-x))


def emit(x: Tensor) -> Tensor:
    """One node of a graph that is traced."""
    return OPERATOR.node((x,), torch.float32, tuple(x.shape), {})


OPERATOR = Operator(
    "Silu",
    "x",
    body="""
    gate = Sigmoid (x)
    y = Mul (x, gate)""",
)
