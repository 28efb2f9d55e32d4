"""Codes of whole rows by the engine's kernels, one pass over memory each; CPU only.

torch needs five to eight passes for the same numbers, each in a tensor of its own, and then a
training step spends more time on quantising than on what it saves.
"""

import torch
from torch import Tensor

from halfbyte import _core


def bits_of(x: Tensor) -> Tensor:
    """x as the kernels take it: bfloat16 as its bits, int16; a view."""
    return x.view(torch.int16) if x.dtype == torch.bfloat16 else x


def weight_codes(x: Tensor, edge: float, qmax: int) -> tuple[Tensor, Tensor]:
    """Codes of a weight with one fp16 scale for each row, ties to even.

    scale = max(fp16(max|x| / edge), 2^-14), code = clip(rint(x / scale), -qmax, qmax).

    Args:
        x: (N, K) float32.

    Returns:
        codes: (N, K) int8.
        scales: (N,) float32.
    """
    codes, scales = torch.empty(x.shape, dtype=torch.int8), x.new_empty(x.shape[0])
    _core.kernels.weight_codes(
        x.contiguous(), edge, qmax, codes, scales, threads=torch.get_num_threads()
    )
    return codes, scales


def values_bf16(codes: Tensor, scales: Tensor) -> Tensor:
    """code * scale, in float32 and then rounded to bfloat16, ties to even.

    Args:
        codes: (N, K) int8.
        scales: (N,) float32.

    Returns:
        (N, K) bfloat16.
    """
    values = torch.empty(codes.shape, dtype=torch.bfloat16)
    _core.kernels.values_bf16(
        codes, scales.contiguous(), bits_of(values), threads=torch.get_num_threads()
    )
    return values
