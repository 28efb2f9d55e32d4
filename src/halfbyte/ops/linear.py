"""Linear: a linear layer on integers; each row of its input has a scale of its own.

    q, s   = codes and scale of the row (8 or 4 bits): s = max|x| / qmax, q = rint(x / s)
    acc[n] = Σ_k q[k] · code[n][k], exact in int32
    y[n]   = ((fp32(acc[n]) · s) · fp32(scale[n])) + fp32(bias[n]), each step rounded to fp32

x (..., K) fp32, finite; code (N, K) of 1 to 8 bits; scale and bias (N) fp16; y (..., N) fp32.

Two things in the ONNX body are there for ONNX Runtime and must stay. The row scale and the weight
scale are multiplied in one after the other: its extended fusion takes a product of both for a
scalar, and its result is wrong. `Where` guards rows of silence: a division by zero would give NaN.
Unlike our kernels, ONNX Runtime does not refuse NaN and infinity.
"""

import numpy as np
import torch
from torch import Tensor

from halfbyte import _core
from halfbyte.ops import matmul_codes
from halfbyte.ops.onnx_text import FLOAT, INT8
from halfbyte.ops.operator import PACKED, Operator
from halfbyte.quant import absmax
from halfbyte.quant.formats import Format
from halfbyte.quant.reference import FloatArray, HalfArray, Int8Array, quantize_rows
from halfbyte.quant.row_codes import bits_of

_KERNELS = {  # by the types of x and of what comes out
    (torch.float32, torch.float32): _core.kernels.linear_train,
    (torch.float32, torch.bfloat16): _core.kernels.linear_train_to_bf16,
    (torch.bfloat16, torch.bfloat16): _core.kernels.linear_train_bf16,
}
_KERNEL_BITS = (4, 8)  # of weights, as the training kernel packs them; fewer bits fit in 4
_LARGEST_CODES = [0.0, *(2.0 ** (bits - 1) - 1 for bits in range(1, 9))]  # by activation bits


def reference(
    x: FloatArray, codes: Int8Array, scales: HalfArray, bias: HalfArray, act_bits: int
) -> FloatArray:
    """The formula in numpy.

    Args:
        x: (..., K) float32, finite.
        codes: (N, K) int8, weight codes, of any number of bits.
        scales: (N,) float16, each > 0 (a float32 array is taken as it is).
        bias: (N,) float16, likewise.
        act_bits: bits of the activation codes, 4 or 8.

    Returns:
        (..., N) float32.

    Raises:
        InputError: `x` holds NaN or infinity.
        UsageError: `act_bits` is not 4 or 8.

    >>> weight = np.int8([[2, 0], [0, -3]])
    >>> half = np.float16([0.5, 1.0])
    >>> reference(np.float32([[127, -1]]), weight, half, half, act_bits=8).tolist()
    [[127.5, 4.0]]
    """
    rows = x.reshape(-1, x.shape[-1])
    codes_x, scales_x = quantize_rows(rows, act_bits)
    acc = matmul_codes.reference(codes_x, codes).astype(np.float32)  # (M, N)
    scaled = (acc * scales_x[:, None]) * scales.astype(np.float32)
    y = scaled + bias.astype(np.float32)
    return y.reshape(*x.shape[:-1], codes.shape[0])


def compute(
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
        return compute_by_torch(x.float(), w_codes, w_scales, bias, number, dtype)
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


def compute_by_torch(
    x: Tensor, w_codes: Tensor, w_scales: Tensor, bias: Tensor, number: Format, dtype: torch.dtype
) -> tuple[Tensor, Tensor]:
    """`compute` of float32 in torch's own operators, on any device; what CUDA computes."""
    x_codes, x_scales = absmax.quantize_rows(x, number.activation_bits)
    y = matmul_codes.padded(x_codes, w_codes).float() * x_scales * w_scales + bias
    return y.to(dtype), (x_codes.float() * x_scales).to(dtype)


OPERATOR = Operator(
    "Linear",
    "x, codes, scales, bias",
    attributes="weight_bits, activation_bits",
    constants={"codes": PACKED, "scales": "float32", "bias": "float32"},
    body=f"""
    last = Constant <value_ints = [-1]> ()
    largest = Constant <value_floats = {_LARGEST_CODES}> ()
    bits = Constant <value_int: int = @activation_bits> ()
    qmax = Gather (largest, bits)
    qmin = Neg (qmax)
    one = Constant <value_float = 1.0> ()
    silence = Constant <value_float = {absmax.SMALLEST_ACTIVATION!r}> ()
    magnitude = Abs (x)
    amax = ReduceMax <keepdims = 1> (magnitude, last)
    is_silent = Less (amax, silence)
    quotient = Div (amax, qmax)
    row_scale = Where (is_silent, one, quotient)
    scaled_x = Div (x, row_scale)
    rounded_x = Round (scaled_x)
    clipped_x = Clip (rounded_x, qmin, qmax)
    codes_x = Cast <to = {INT8}> (clipped_x)
    bytes_w = Cast <to = {INT8}> (codes)
    codes_w = Transpose <perm = [1, 0]> (bytes_w)
    acc = MatMulInteger (codes_x, codes_w)
    acc_f32 = Cast <to = {FLOAT}> (acc)
    by_row = Mul (acc_f32, row_scale)
    scales_f32 = Cast <to = {FLOAT}> (scales)
    by_output = Mul (by_row, scales_f32)
    bias_f32 = Cast <to = {FLOAT}> (bias)
    y = Add (by_output, bias_f32)""",
)
