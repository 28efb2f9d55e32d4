"""IntPatches: 3 x 3 patches of codes in steps of 2.

x (B, T, F, C) int8 -> y (B, (T - 1) // 2, (F - 1) // 2, 9·C) int8, in the order time, bin, channel.
"""

import numpy as np
import torch
from torch import nn

from halfbyte.ops.coded import Coded
from halfbyte.ops.onnx_text import INT8, INT32
from halfbyte.ops.operator import FrozenOperator, Operator
from halfbyte.ops.patches import KERNEL, STRIDE, patches
from halfbyte.quant.reference import Int8Array


def reference(x: Int8Array) -> Int8Array:
    """The formula in numpy."""
    rows, columns = (STRIDE * max(0, (size - 1) // STRIDE) for size in x.shape[1:3])
    parts = [x[:, t : t + rows : STRIDE, f : f + columns : STRIDE] for t, f in _PLACES]
    return np.concatenate(parts, axis=3)


class IntegerPatches(nn.Module):
    """Patches of codes; elements only move."""

    def forward(self, x: Coded) -> Coded:
        """x: (B, T, F, C) -> (B, (T - 1) // 2, (F - 1) // 2, 9·C)."""
        return Coded(patches(x.value), x.range)

    def freeze(self) -> FrozenOperator:
        """One node."""
        return FrozenOperator(
            OPERATOR,
            torch.int8,
            shape=lambda s: (s[0], (s[1] - 1) // 2, (s[2] - 1) // 2, 9 * s[3]),
        )


_PLACES = [(t, f) for t in range(KERNEL) for f in range(KERNEL)]
OPERATOR = Operator(
    "IntPatches",
    "x",
    body=f"""
    axes = Constant <value_ints = [1, 2]> ()
    steps = Constant <value_ints = [2, 2]> ()
    three = Constant <value_ints = [3, 3]> ()
    shape = Shape <start = 1, end = 3> (x)
    x_wide = Cast <to = {INT32}> (x)
    last = Sub (shape, three)"""
    + "".join(
        f"""
    start_{t}{f} = Constant <value_ints = [{t}, {f}]> ()
    after_{t}{f} = Constant <value_ints = [{t + 1}, {f + 1}]> ()
    end_{t}{f} = Add (last, after_{t}{f})
    part_{t}{f} = Slice (x_wide, start_{t}{f}, end_{t}{f}, axes, steps)"""
        for t, f in _PLACES
    )
    + f"""
    joined = Concat <axis = 3> ({", ".join(f"part_{t}{f}" for t, f in _PLACES)})
    y = Cast <to = {INT8}> (joined)""",
)
