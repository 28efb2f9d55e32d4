"""ChunkConv: a depthwise convolution over the frames of a chunk and those before it, in float32.

frames = (past, x); y[t][d] = bias[d] + Σ_k frames[t + k][d] · weight[d][0][k]; kept are the newest
taps - 1 frames. x (B, C, D), past (B, taps - 1, D), weight (D, 1, taps), bias (D,); y (B, C, D),
kept (B, taps - 1, D): all float32. The attribute `channels` is D. The engine reads the weight as
(taps, D).
"""

import numpy as np
import torch
from torch import Tensor

from halfbyte.ops.operator import Operator
from halfbyte.quant.reference import FloatArray


def reference(
    x: FloatArray, past: FloatArray, weight: FloatArray, bias: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """The formula in numpy, taps in ascending order: y and kept."""
    frames = np.concatenate([past, x], axis=1)
    y: FloatArray = np.zeros_like(x)
    for tap in range(weight.shape[-1]):
        y += frames[:, tap : tap + x.shape[1]] * weight[:, 0, tap]
    return y + bias, frames[:, x.shape[1] :]


def emit(x: Tensor, past: Tensor, weight: Tensor, bias: Tensor) -> tuple[Tensor, Tensor]:
    """One node of a graph that is traced."""
    y, kept = OPERATOR.nodes(
        (x, past, weight, bias),
        [(torch.float32, tuple(each.shape)) for each in (x, past)],
        {"channels": bias.shape[0]},
    )
    return y, kept


OPERATOR = Operator(
    "ChunkConv",
    "x, past, weight, bias",
    attributes="channels",
    outputs="y, kept",
    constants={"weight": "float32", "bias": "float32"},
    body="""
    axis_one = Constant <value_ints = [1]> ()
    end = Constant <value_ints = [9223372036854775807]> ()
    frames = Concat <axis = 1> (past, x)
    turned = Transpose <perm = [0, 2, 1]> (frames)
    filtered = Conv <group: int = @channels> (turned, weight, bias)
    y = Transpose <perm = [0, 2, 1]> (filtered)
    chunk = Shape <start = 1, end = 2> (x)
    kept = Slice (frames, chunk, end, axis_one)""",
)
