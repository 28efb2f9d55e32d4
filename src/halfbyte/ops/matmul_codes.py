"""The exact integer product of activation and weight codes, acc[m][n] = Σ_k x[m][k] · w[n][k]."""

import numpy as np
import torch
from torch import Tensor

from halfbyte.errors import InputError
from halfbyte.quant.reference import Int8Array, Int32Array

_CUDA_MULTIPLE = 8  # torch._int_mm on CUDA wants K and N in multiples of 8, and M above 16
_CUDA_LEAST_ROWS = 17


def reference(codes_x: Int8Array, codes_w: Int8Array) -> Int32Array:
    """The product in numpy.

    Args:
        codes_x: (M, K) int8.
        codes_w: (N, K) int8.

    Returns:
        (M, N) int32.

    Raises:
        InputError: the sum does not fit int32.

    >>> reference(np.int8([[1, 2]]), np.int8([[3, -4]])).tolist()
    [[-5]]
    """
    acc = codes_x.astype(np.int64) @ codes_w.astype(np.int64).T
    if acc.size and np.abs(acc).max() > np.iinfo(np.int32).max:
        raise InputError(f"a sum over {codes_x.shape[1]} inputs overflows int32; use fewer inputs")
    return acc.astype(np.int32)


def compute(x_codes: Tensor, w_codes: Tensor) -> Tensor:
    """The product in torch: (M, K) int8 · (N, K) int8 -> (M, N) int32."""
    if x_codes.is_cuda:
        return padded(x_codes, w_codes)
    return torch._int_mm(x_codes, w_codes.t())


def padded(x_codes: Tensor, w_codes: Tensor) -> Tensor:
    """The same, padded to the shapes that CUDA takes."""
    m, k = x_codes.shape
    n = w_codes.shape[0]
    more_k, more_rows = -k % _CUDA_MULTIPLE, max(0, _CUDA_LEAST_ROWS - m)
    x, w = x_codes, w_codes
    if more_k or more_rows:  # most layers need no padding, and even an empty one copies
        x = torch.nn.functional.pad(x, (0, more_k, 0, more_rows))
    if more_k or n % _CUDA_MULTIPLE:
        w = torch.nn.functional.pad(w, (0, more_k, 0, -n % _CUDA_MULTIPLE))
    return torch._int_mm(x, w.t())[:m, :n]
