"""The integer linear operator in torch: by the engine's own kernel, or by torch._int_mm on CUDA."""

import torch
from torch import Tensor

from halfbyte import _core
from halfbyte.quant.absmax import quantize_rows
from halfbyte.quant.formats import Format

_CUDA_MULTIPLE = 8  # torch._int_mm on CUDA wants K and N in multiples of 8, and M above 16
_CUDA_LEAST_ROWS = 17


def integer_linear(
    x: Tensor, w_codes: Tensor, w_scales: Tensor, bias: Tensor, number: Format
) -> tuple[Tensor, Tensor, Tensor]:
    """y = ((float(x_codes · w_codes) · s_x) · s_w) + b, to the last bit (docs/integer-spec.md).

    Args:
        x: (M, K) float32.
        w_codes: (N, K) int8.
        w_scales, bias: (N,) float32.

    Returns:
        y: (M, N) float32.
        x_codes: (M, K) int8.
        x_scales: (M, 1) float32.

    Raises:
        InputError: x holds NaN or infinity (on a CPU; CUDA is not held up to look).
    """
    if x.is_cuda:
        x_codes, x_scales = quantize_rows(x, number.activation_bits)
        y = _padded_int_mm(x_codes, w_codes).float() * x_scales * w_scales + bias
        return y, x_codes, x_scales
    y = x.new_empty(x.shape[0], w_codes.shape[0])
    x_codes = torch.empty(x.shape, dtype=torch.int8)
    x_scales = x.new_empty(x.shape[0])
    _core.kernels.linear_train(
        x.contiguous(),
        w_codes,
        number.weight_bits,
        number.activation_bits,
        w_scales,
        bias,
        y,
        x_codes,
        x_scales,
    )
    return y, x_codes, x_scales.unsqueeze(1)


def _padded_int_mm(x_codes: Tensor, w_codes: Tensor) -> Tensor:
    """(M, K) int8 · (N, K) int8 -> (M, N) int32, padded to the shapes that CUDA takes."""
    m, k = x_codes.shape
    n = w_codes.shape[0]
    more_k, more_rows = -k % _CUDA_MULTIPLE, max(0, _CUDA_LEAST_ROWS - m)
    x, w = x_codes, w_codes
    if more_k or more_rows:  # most layers need no padding, and even an empty one copies
        x = torch.nn.functional.pad(x, (0, more_k, 0, more_rows))
    if more_k or n % _CUDA_MULTIPLE:
        w = torch.nn.functional.pad(w, (0, more_k, 0, -n % _CUDA_MULTIPLE))
    return torch._int_mm(x, w.t())[:m, :n]
