"""IntDepthwise: a depthwise convolution over time, acc[t][d] = bias[d] + Σ_k x[t + k][d] · w[k][d].

x (B, T + taps - 1, D) int8, w (taps, D) int8 with one scale a channel, bias (D,) int32, acc
(B, T, D) int32; at most 32768 taps.
"""

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from halfbyte.ops.coded import Coded, requantize
from halfbyte.ops.fixed_point import fixed_point_of
from halfbyte.ops.folding import FoldsNorm
from halfbyte.ops.int_linear import whole_bias
from halfbyte.ops.integer_leaf import Flow, IntegerLeaf
from halfbyte.ops.integer_memory import IntegerMemory
from halfbyte.ops.onnx_text import INT32
from halfbyte.ops.operator import FrozenOperator, Operator
from halfbyte.ops.requantize import REQUANTIZE_WIDE
from halfbyte.quant.absmax import quantize_weight
from halfbyte.quant.ranges import Range
from halfbyte.quant.reference import Int8Array, Int32Array


def reference(x: Int8Array, weight: Int8Array, bias: Int32Array) -> Int32Array:
    """The formula in numpy."""
    frames = np.lib.stride_tricks.sliding_window_view(x.astype(np.int32), len(weight), axis=1)
    return (np.einsum("btdk,kd->btd", frames, weight.astype(np.int32)) + bias).astype(np.int32)


def compute(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """The formula in torch, on int64; float32 holds these sums exactly."""
    filters = weight.t()[:, None].float()
    sums = functional.conv1d(x.transpose(1, 2).float(), filters, groups=filters.shape[0])
    return sums.transpose(1, 2).to(torch.int64) + bias


class IntegerDepthwise(IntegerLeaf, FoldsNorm):
    """Depthwise convolution over time, weights in 8 bits per channel, from int8 to int16."""

    def __init__(self, convolution: FoldsNorm):
        super().__init__()
        self.weight, self.bias = convolution.weight, convolution.bias
        self.norm = convolution.norm
        self.out_range = Range(16)
        self.memory = IntegerMemory()

    def constants(self) -> tuple[Tensor, Tensor, Tensor, int]:
        """codes (taps, D), bias (D,), multipliers (D,) int64, shift."""
        codes, scales = quantize_weight(self.folded_weight().detach()[:, 0], 8)
        unit = scales.double() * self.scale_of("x")
        shift_of_outputs = self.folded_bias()
        assert shift_of_outputs is not None
        bias = whole_bias(shift_of_outputs, unit).to(torch.int64)
        multipliers, shift = fixed_point_of(unit / self.out_range.scale)
        return codes.t().to(torch.int64), bias, multipliers, shift

    def forward(self, past: Coded, x: Flow) -> tuple[Coded, Coded]:
        """past (B, taps - 1, D), x (B, T, D) -> (B, T, D) and the frames to keep."""
        frames, kept = self.memory(past, x)
        taken = self.take("x", frames)

        def filtered(weight: Tensor, bias: Tensor | None) -> Tensor:
            sums = functional.conv1d(taken.value.transpose(1, 2), weight, bias, groups=len(weight))
            return sums.transpose(1, 2)

        real = filtered(*self.folded(filtered))

        def codes() -> Tensor:
            weight, bias, multipliers, shift = self.constants()
            acc = compute(taken.codes, weight, bias)
            largest = self.out_range.largest
            return requantize(acc, multipliers, shift, (-largest, largest), None)

        return self.finish(real.float(), codes, self.out_range), kept

    def freeze(self) -> nn.Module:
        """Sums, then their rescaling."""
        weight, bias, multipliers, shift = self.constants()
        taps = weight.shape[0]
        sums = FrozenOperator(
            OPERATOR,
            torch.int32,
            {"weight": weight.to(torch.int8), "bias": bias.to(torch.int32)},
            shape=lambda shape: (shape[0], shape[1] - taps + 1, shape[2]),
        )
        constants = {"multipliers": multipliers.to(torch.int32)}
        attributes = {"divisor": 1 << shift}
        node = FrozenOperator(REQUANTIZE_WIDE, torch.int16, constants, attributes, before=[sums])
        return _FrozenDepthwise(node, self.memory.freeze())


class _FrozenDepthwise(nn.Module):
    def __init__(self, node: FrozenOperator, memory: nn.Module):
        super().__init__()
        self.node, self.memory = node, memory

    def forward(self, past: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
        frames, kept = self.memory(past, x)
        return self.node(frames), kept


OPERATOR = Operator(
    "IntDepthwise",
    "x, weight, bias",
    constants={"weight": "int8", "bias": "int32"},
    body=f"""
    x_int = Cast <to = {INT32}> (x)
    weight_int = Cast <to = {INT32}> (weight)
    zero = Constant <value_int = 0> ()
    one = Constant <value_int = 1> ()
    taps = Shape <start = 0, end = 1> (weight)
    taps_scalar = Squeeze (taps)
    frames = Shape <start = 1, end = 2> (x)
    frames_scalar = Squeeze (frames)
    past = Sub (frames_scalar, taps_scalar)
    num_out = Add (past, one)
    first = Range (zero, num_out, one)
    tap = Range (zero, taps_scalar, one)
    axis_one = Constant <value_ints = [1]> ()
    first_column = Unsqueeze (first, axis_one)
    index = Add (first_column, tap)
    windows = Gather <axis = 1> (x_int, index)
    products = Mul (windows, weight_int)
    axis_two = Constant <value_ints = [2]> ()
    sums = ReduceSum <keepdims = 0> (products, axis_two)
    y = Add (sums, bias)""",
)
