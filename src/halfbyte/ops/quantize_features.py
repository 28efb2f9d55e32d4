"""QuantizeFeatures: code = clip(rint((x - mean) · factor), ±127), in fp32.

x (..., F) float32, mean and factor (F,) float32, factor = fp32(1 / (deviation · s)); y int8.
"""

import numpy as np
import torch
from torch import Tensor, nn

from halfbyte.ops.coded import Coded
from halfbyte.ops.onnx_text import INT8
from halfbyte.ops.operator import FrozenOperator, Operator
from halfbyte.quant.ranges import Range
from halfbyte.quant.reference import FloatArray, Int8Array


def reference(x: FloatArray, mean: FloatArray, factor: FloatArray) -> Int8Array:
    """The formula in numpy.

    >>> reference(np.float32([[3, 900]]), np.float32([1, 0]), np.float32([2, 1])).tolist()
    [[4, 127]]
    """
    return np.clip(np.rint((x - mean) * factor), -127, 127).astype(np.int8)


class FeatureCodes(nn.Module):
    """Global mean and variance normalisation, and codes; where integers begin."""

    mean: Tensor
    inverse_deviation: Tensor

    def __init__(self, mean: Tensor, inverse_deviation: Tensor):
        super().__init__()
        self.register_buffer("mean", mean)
        self.register_buffer("inverse_deviation", inverse_deviation)
        self.out_range = Range()

    def factor(self) -> Tensor:
        """(F,) float32: 1 / (deviation · scale)."""
        return (self.inverse_deviation.double() / self.out_range.scale).float()

    def forward(self, features: Tensor) -> Coded:
        """features: (B, T, F) float32 -> (B, T, F)."""
        centred = features.float() - self.mean
        if self.training:
            self.out_range.observe(centred * self.inverse_deviation)
        if self.out_range.passes_real(self.training):
            return Coded(centred * self.inverse_deviation, self.out_range)
        codes = torch.round(centred * self.factor()).clamp(-127, 127)
        return Coded(self.out_range.numbers(codes), self.out_range)

    def freeze(self) -> FrozenOperator:
        """One node over mean and factor."""
        constants = {"mean": self.mean, "factor": self.factor()}
        return FrozenOperator(OPERATOR, torch.int8, constants)


OPERATOR = Operator(
    "QuantizeFeatures",
    "x, mean, factor",
    constants={"mean": "float32", "factor": "float32"},
    body=f"""
    low = Constant <value_float = -127.0> ()
    high = Constant <value_float = 127.0> ()
    centred = Sub (x, mean)
    scaled = Mul (centred, factor)
    rounded = Round (scaled)
    clipped = Clip (rounded, low, high)
    y = Cast <to = {INT8}> (clipped)""",
)
