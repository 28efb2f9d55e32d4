"""The integer linear operator in torch: by the engine's own kernel, or by torch._int_mm on CUDA."""

import torch
from torch import Tensor

from halfbyte import _core
from halfbyte.quant.absmax import quantize_rows
from halfbyte.quant.formats import Format
from halfbyte.quant.quantizer import Quantized
from halfbyte.quant.row_codes import bits_of

_KERNELS = {  # by the types of x and of what comes out
    (torch.float32, torch.float32): _core.kernels.linear_train,
    (torch.float32, torch.bfloat16): _core.kernels.linear_train_to_bf16,
    (torch.bfloat16, torch.bfloat16): _core.kernels.linear_train_bf16,
}
_KERNEL_BITS = (4, 8)  # of weights, as the training kernel packs them; fewer bits fit in 4
_CUDA_MULTIPLE = 8  # torch._int_mm on CUDA wants K and N in multiples of 8, and M above 16
_CUDA_LEAST_ROWS = 17


def integer_linear(
    x: Tensor,
    w_codes: Tensor,
    w_scales: Tensor,
    bias: Tensor,
    number: Format,
    dtype: torch.dtype = torch.float32,
) -> tuple[Tensor, Tensor]:
    """y = ((float(x_codes · w_codes) · s_x) · s_w) + b, to the last bit (docs/integer-spec.md).

    Args:
        x: (M, K) float32, or bfloat16 where `dtype` is.
        w_codes: (N, K) int8.
        w_scales: (N,) float32.
        bias: (N,) float32.
        number: bits of weights and activations.
        dtype: of what is returned: float32 or bfloat16, to which float32 is rounded, ties to even.

    Returns:
        y: (M, N) of `dtype`.
        x_values: x_codes · s_x, what the codes of x stand for; (M, K) of `dtype`.

    Raises:
        InputError: x holds NaN or infinity (on a CPU; CUDA is not held up to look).
    """
    if x.is_cuda:
        return linear_by_torch(x.float(), w_codes, w_scales, bias, number, dtype)
    y = torch.empty(x.shape[0], w_codes.shape[0], dtype=dtype)
    x_values = torch.empty(x.shape, dtype=dtype)
    _KERNELS[x.dtype, dtype](
        bits_of(x.contiguous()),
        w_codes,
        min(bits for bits in _KERNEL_BITS if bits >= number.weight_bits),
        number.activation_bits,
        w_scales,
        bias,
        bits_of(y),
        bits_of(x_values),
        threads=torch.get_num_threads(),
    )
    return y, x_values


def linear_by_torch(
    x: Tensor, w_codes: Tensor, w_scales: Tensor, bias: Tensor, number: Format, dtype: torch.dtype
) -> tuple[Tensor, Tensor]:
    """`integer_linear` of float32 in torch's own operators, on any device; what CUDA computes."""
    x_codes, x_scales = quantize_rows(x, number.activation_bits)
    y = _padded_int_mm(x_codes, w_codes).float() * x_scales * w_scales + bias
    return y.to(dtype), (x_codes.float() * x_scales).to(dtype)


def static_linear(x: Quantized, weight: Quantized, bias: Tensor) -> Tensor:
    """y = ((float(acc - z · Σ w_codes) · s_x) · s_w) + b, acc = x_codes · w_codes exact in int32.

    The operator of static activations: one scale s_x and one zero point z for the whole tensor.

    Args:
        x: (M, K), per tensor.
        weight: (N, K), per tensor or channel, without zero points.
        bias: (N,) float32.

    Returns:
        (M, N) float32.
    """
    acc = _padded_int_mm(x.codes, weight.codes) if bias.is_cuda else _int_mm(x.codes, weight.codes)
    if x.zero_points is not None:
        acc = acc - x.zero_points * weight.codes.sum(dim=1, dtype=torch.int32)
    return acc.float() * x.scales * weight.scales[:, 0] + bias


def _int_mm(x_codes: Tensor, w_codes: Tensor) -> Tensor:
    return torch._int_mm(x_codes, w_codes.t())


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
