"""The quantised operators in numpy: docs/integer-spec.md, as directly as it can be written.

Every other implementation (C++ on each instruction set, the torch layers, the ONNX functions)
must give the bits of this file. It is written to be read, not to be fast.

Shape letters: M rows of activations, N outputs, K inputs, V vocabulary, D width.
"""

import numpy as np
from numpy.typing import NDArray

from halfbyte.errors import InputError, UsageError

FloatArray = NDArray[np.float32]
HalfArray = NDArray[np.float16]
Int8Array = NDArray[np.int8]
Int32Array = NDArray[np.int32]

SMALLEST_AMAX = np.float32(2.0**-100)  # rows below count as silent: their scale is 1
SMALLEST_WEIGHT_SCALE = np.float32(2.0**-14)  # the smallest normal fp16


def largest_code(bits: int) -> int:
    """The largest code of a symmetric quantiser, 2^(bits-1) - 1, and 1 for 1 bit.

    Raises:
        UsageError: `bits` is not 1 to 8.

    >>> largest_code(4), largest_code(8)
    (7, 127)
    """
    if not 1 <= bits <= 8:
        raise UsageError(f"{bits} bits came; the quantised operators have 1 to 8")
    return max(1, int(2 ** (bits - 1) - 1))


def quantize_weight(weight: FloatArray, bits: int) -> tuple[Int8Array, HalfArray]:
    """Round a weight matrix to codes, with one fp16 scale per output.

    scale = max(fp16(max|w| / edge), 2^-14), code = clip(rint(w / scale), -qmax, qmax), qmax =
    2^(bits-1) - 1, so w is about code * scale; edge = qmax from 4 bits on, qmax + 1/2 at 3 and 2.
    1 bit: scale = max(fp16(fp32(mean|w|)), 2^-14), code = 1 if w >= 0 else -1. Divisions in fp32;
    all roundings half to even.

    Args:
        weight: (N, K) float32, finite, |w| / qmax within fp16; N outputs, K inputs.
        bits: 1 to 8.

    Returns:
        codes: (N, K) int8 in -qmax..qmax.
        scales: (N,) float16, each >= 2^-14, in units of `weight`.

    Raises:
        InputError: `weight` is not 2-D, or a scale would be NaN or infinite.
        UsageError: `bits` is not 1 to 8.

    >>> codes, scales = quantize_weight(np.float32([[7, -3.5, 0.4]]), bits=4)
    >>> codes.tolist(), scales.tolist()
    ([[7, -4, 0]], [1.0])
    """
    qmax = np.float32(largest_code(bits))
    edge = qmax + np.float32(0.5 if bits in (2, 3) else 0)
    if weight.ndim != 2:
        raise InputError(f"a weight of shape {weight.shape} came; expected (outputs, inputs)")
    amax = np.abs(weight).max(axis=1, initial=0)  # (N,)
    with np.errstate(over="ignore"):
        half = (amax / edge).astype(np.float16)
        if bits == 1:
            half = (
                np.abs(weight, dtype=np.float64).mean(axis=1).astype(np.float32).astype(np.float16)
            )
    if not np.isfinite(half).all():
        raise InputError("a weight scale is not finite in fp16; weights hold NaN or huge values")
    scales = np.maximum(half.astype(np.float32), SMALLEST_WEIGHT_SCALE)
    codes = np.clip(np.rint(weight / scales[:, None]), -qmax, qmax)  # (N, K)
    if bits == 1:
        codes = np.where(weight >= 0, 1, -1)
    return codes.astype(np.int8), scales.astype(np.float16)


def quantize_rows(x: FloatArray, bits: int) -> tuple[Int8Array, FloatArray]:
    """Round each row of activations to codes, with one scale per row.

    amax = max|x|, s = 1 if amax < 2^-100 else amax / qmax, code = clip(rint(x / s), -qmax, qmax).
    Both divisions in fp32, rint half to even.

    Args:
        x: (M, K) float32, finite.
        bits: 4 or 8.

    Returns:
        codes: (M, K) int8 in -qmax..qmax.
        scales: (M,) float32, each > 0.

    Raises:
        InputError: a row holds NaN or infinity, or `x` is not 2-D.
        UsageError: `bits` is not 4 or 8.

    Source: dynamic quantisation per token (ZeroQuant, Yao et al. 2022, arXiv:2206.01861); ours is
        symmetric with edge qmax and refuses what is not finite.

    >>> codes, scales = quantize_rows(np.float32([[127, -2.5, 3.5], [0, 0, 0]]), bits=8)
    >>> codes.tolist(), scales.tolist()
    ([[127, -2, 4], [0, 0, 0]], [1.0, 1.0])
    """
    qmax = np.float32(largest_code(bits))
    if x.ndim != 2:
        raise InputError(f"activations of shape {x.shape} came; expected (rows, inputs)")
    amax = np.abs(x).max(axis=1, initial=0)  # (M,)
    bad = np.flatnonzero(~np.isfinite(amax))
    if bad.size:
        raise InputError(f"row {bad[0]} of a linear layer's input holds NaN or infinity")
    scales = np.where(amax < SMALLEST_AMAX, np.float32(1), amax / qmax)
    codes = np.clip(np.rint(x / scales[:, None]), -qmax, qmax)  # (M, K)
    return codes.astype(np.int8), scales


def matmul_codes(codes_x: Int8Array, codes_w: Int8Array) -> Int32Array:
    """The exact integer product of activation and weight codes.

    `acc[m][n] = sum over k of codes_x[m][k] * codes_w[n][k]`

    Args:
        codes_x: (M, K) int8.
        codes_w: (N, K) int8.

    Returns:
        (M, N) int32.

    Raises:
        InputError: the sum does not fit int32.

    >>> matmul_codes(np.int8([[1, 2]]), np.int8([[3, -4]])).tolist()
    [[-5]]
    """
    acc = codes_x.astype(np.int64) @ codes_w.astype(np.int64).T
    if acc.size and np.abs(acc).max() > np.iinfo(np.int32).max:
        raise InputError(f"a sum over {codes_x.shape[1]} inputs came that int32 does not hold")
    return acc.astype(np.int32)


def linear(
    x: FloatArray, codes: Int8Array, scales: HalfArray, bias: HalfArray, act_bits: int
) -> FloatArray:
    """Linear: a linear layer in integers.

    y = ((float(acc) * s_x) * s_w) + b, in this order, each step rounded to fp32; acc and s_x from
    `quantize_rows` and `matmul_codes`.

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
    >>> linear(np.float32([[127, -1]]), weight, half, half, act_bits=8).tolist()
    [[127.5, 4.0]]
    """
    rows = x.reshape(-1, x.shape[-1])
    codes_x, scales_x = quantize_rows(rows, act_bits)
    acc = matmul_codes(codes_x, codes).astype(np.float32)  # (M, N)
    scaled = (acc * scales_x[:, None]) * scales.astype(np.float32)
    y = scaled + bias.astype(np.float32)
    return y.reshape(*x.shape[:-1], codes.shape[0])


def linear_weight_only(
    x: FloatArray, codes: Int8Array, scales: HalfArray, bias: HalfArray
) -> FloatArray:
    """WeightOnlyLinear: weights are widened to fp32, the product is fp32.

    w[n][k] = float(code[n][k]) * float(scales[n][k // G]), y = x · wᵀ + bias

    The order of the sum over k is not specified: a float product differs between machines.

    Args:
        x: (..., K) float32.
        codes: (N, K) int8.
        scales: (N, K / G) float16, one for each group of G inputs.
        bias: (N,) float16.

    Returns:
        (..., N) float32.

    >>> codes, half = np.int8([[2, 3]]), np.float16([[0.5, 2.0]])
    >>> linear_weight_only(np.float32([[1, 1]]), codes, half, np.float16([1])).tolist()
    [[8.0]]
    """
    groups = codes.astype(np.float32).reshape(*scales.shape, -1)  # (N, K / G, G)
    weight = (groups * scales.astype(np.float32)[..., None]).reshape(codes.shape)
    return (x @ weight.T + bias.astype(np.float32)).astype(np.float32)


def embedding(ids: NDArray[np.int64], codes: Int8Array, scales: HalfArray) -> FloatArray:
    """Embedding: rows of a quantised table.

    y = float(code) * float(scale)

    Args:
        ids: (...) int64, each in 0..V-1.
        codes: (V, D) int8.
        scales: (V,) float16, one per row of the table.

    Returns:
        (..., D) float32.

    Raises:
        InputError: an id lies outside 0..V-1.

    >>> embedding(np.int64([1]), np.int8([[1, 2], [3, -4]]), np.float16([1, 0.5])).tolist()
    [[1.5, -2.0]]
    """
    if ids.size and not (ids.min() >= 0 and ids.max() < len(codes)):
        raise InputError(f"token ids {ids.min()}..{ids.max()} came; there are {len(codes)} rows")
    return codes[ids].astype(np.float32) * scales[ids].astype(np.float32)[..., None]
