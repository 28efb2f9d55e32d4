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
        raise UsageError(f"bits is {bits}; expected 1 to 8")
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
        raise InputError(f"the weight has shape {weight.shape}; expected (outputs, inputs)")
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
        raise InputError(f"activations have shape {x.shape}; expected (rows, inputs)")
    amax = np.abs(x).max(axis=1, initial=0)  # (M,)
    bad = np.flatnonzero(~np.isfinite(amax))
    if bad.size:
        raise InputError(f"row {bad[0]} of a linear layer's input holds NaN or infinity")
    scales = np.where(amax < SMALLEST_AMAX, np.float32(1), amax / qmax)
    codes = np.clip(np.rint(x / scales[:, None]), -qmax, qmax)  # (M, K)
    return codes.astype(np.int8), scales
