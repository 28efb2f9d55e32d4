"""The exact int8 x int8 -> int32 matrix product on the device that the tensors are on."""

import torch
from torch import Tensor

_CUDA_MULTIPLE = 8  # torch._int_mm on CUDA wants K and N in multiples of 8, and M above 16
_CUDA_LEAST_ROWS = 17


def integer_product(x_codes: Tensor, w_codes: Tensor) -> Tensor:
    """acc[m, n] = Σ_k x[m, k] · w[n, k], exact in int32.

    Args:
        x_codes: (M, K) int8.
        w_codes: (N, K) int8, on the same device.

    Returns:
        (M, N) int32.
    """
    if x_codes.is_cuda:
        return _padded_int_mm(x_codes, w_codes)
    return torch._int_mm(x_codes, w_codes.t())


def _padded_int_mm(x_codes: Tensor, w_codes: Tensor) -> Tensor:
    m, k = x_codes.shape
    n = w_codes.shape[0]
    pad_k = -k % _CUDA_MULTIPLE
    x = torch.nn.functional.pad(x_codes, (0, pad_k, 0, max(0, _CUDA_LEAST_ROWS - m)))
    w = torch.nn.functional.pad(w_codes, (0, pad_k, 0, -n % _CUDA_MULTIPLE))
    return torch._int_mm(x, w.t())[:m, :n]
