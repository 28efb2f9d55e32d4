"""Dequantize: float(code) · scale in fp32; x (...) int8 or int16, scale one float32 number."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from halfbyte.ops.integer_leaf import Flow, IntegerLeaf
from halfbyte.ops.onnx_text import FLOAT
from halfbyte.ops.operator import FrozenOperator, Operator
from halfbyte.quant.ranges import Range
from halfbyte.quant.reference import FloatArray


def reference(codes: NDArray[np.integer], scale: np.float32) -> FloatArray:
    """The formula in numpy."""
    return codes.astype(np.float32) * np.float32(scale)


class IntegerNumbers(IntegerLeaf):
    """Where integers end: float32 numbers, of sums by way of 16 bits.

    Sums here come after all that moves with the steps of training, so their range starts and
    moves by itself.
    """

    def forward(self, x: Flow) -> Tensor:
        """x: any shape -> float32."""
        made = self.roundings.get("x")
        if self.training and made is not None:
            made.ranges[0].move()
        value = self.take("x", x, num_bits=16).value
        if self.training and made is not None:
            _start(made.ranges[0])
        return value

    def freeze(self) -> FrozenOperator:
        """One node over the scale."""
        constants = {"scale": torch.tensor(self.scale_of("x"), dtype=torch.float32)}
        before = self.frozen_operands("x")
        return FrozenOperator(OPERATOR, torch.float32, constants, before=before)


def _start(own: Range) -> None:
    if not own.is_started and own.sample is None:  # a sampled range waits for its observer
        own.start()


OPERATOR = Operator(
    "Dequantize",
    "x, scale",
    constants={"scale": "float32"},
    body=f"""
    numbers = Cast <to = {FLOAT}> (x)
    y = Mul (numbers, scale)""",
)
