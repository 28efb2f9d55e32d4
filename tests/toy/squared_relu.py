"""SquaredRelu: y = max(x, 0)², float32, element by element; one product, rounded once.

Source: So et al. 2021, "Primer" (arXiv:2109.08668). The device's half is squared_relu.cc.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from halfbyte.ops.operator import FrozenOperator, Operator


def reference(x: NDArray[np.float32]) -> NDArray[np.float32]:
    """The formula in numpy."""
    return np.square(np.maximum(x, np.float32(0)))


class SquaredRelu(nn.Module):
    """The formula in torch, with its gradient."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(x).square()

    def freeze(self) -> FrozenOperator:
        """One node."""
        return FrozenOperator(OPERATOR, torch.float32)


OPERATOR = Operator(
    "SquaredRelu",
    "x",
    body="""
    positive = Relu (x)
    y = Mul (positive, positive)""",
)
