"""The operators of integer-only models in numpy: docs/integer-spec.md, "Integer-only mode".

As in reference.py: written to be read, and every other implementation must give these bits. Codes
are int8, the residual stream int16, sums int32; products are taken in int64 and never leave it.

Shape letters: M rows, N outputs, K inputs or keys, D width, H heads, C queries.
"""

import numpy as np
from numpy.typing import NDArray

from halfbyte.quant.reference import Int8Array, Int32Array, matmul_codes

Int16Array = NDArray[np.int16]
Int64Array = NDArray[np.int64]
FloatArray = NDArray[np.float32]
DoubleArray = NDArray[np.float64]

LARGEST_SHIFT = 62
ROOT_STEPS = 6
NORM_BITS = 16  # fractional bits of a normalised element
STEPS_PER_NAT = 64  # of a score before the softmax
NUM_EXPONENTIALS = 512
UNSEEN = -(1 << 61)


def fixed_point(values: DoubleArray, largest_shift: int = LARGEST_SHIFT) -> tuple[Int32Array, int]:
    """Real multipliers as integers over one power of two: value is about m · 2^-shift.

    shift = 31 - e with max|value| = f · 2^e, 1/2 <= f < 1, clipped to 1..largest_shift;
    m = clip(rint(value · 2^shift), ±(2^31 - 1)).

    Args:
        values: (...) float64, finite.
        largest_shift: at most 62.

    >>> m, shift = fixed_point(np.array([0.75, -0.001]))
    >>> m.tolist(), shift
    ([1610612736, -2147484], 31)
    """
    exponent = int(np.frexp(np.abs(values).max(initial=0.0))[1])
    shift = min(max(31 - exponent, 1), largest_shift)
    largest = np.iinfo(np.int32).max
    return np.clip(np.rint(np.ldexp(values, shift)), -largest, largest).astype(np.int32), shift


def round_shift(product: Int64Array, shift: int) -> Int64Array:
    """product / 2^shift to the nearest integer, ties to even.

    >>> round_shift(np.int64([5, 6, 7, -6, -7, 2]), 2).tolist()
    [1, 2, 2, -2, -2, 0]
    """
    floor = product >> shift
    twice = (product - (floor << shift)) << 1  # of the rest, 0 .. 2^(shift + 1) - 2
    up = (twice > 1 << shift) | ((twice == 1 << shift) & (floor & 1 == 1))
    return floor + up


def quantize_features(x: FloatArray, mean: FloatArray, factor: FloatArray) -> Int8Array:
    """code = clip(rint((x - mean) · factor), ±127), in fp32.

    >>> quantize_features(np.float32([[3, 900]]), np.float32([1, 0]), np.float32([2, 1])).tolist()
    [[4, 127]]
    """
    return np.clip(np.rint((x - mean) * factor), -127, 127).astype(np.int8)


def dequantize(codes: NDArray[np.integer], scale: np.float32) -> FloatArray:
    """float(code) · scale, in fp32."""
    return codes.astype(np.float32) * np.float32(scale)


def linear(x: Int8Array, codes: Int8Array, bias: Int32Array) -> Int32Array:
    """acc[n] = bias[n] + Σ_k x[k] · code[n][k]; x (..., K), codes (N, K) -> (..., N).

    >>> linear(np.int8([[2, -1]]), np.int8([[3, 4]]), np.int32([10])).tolist()
    [[12]]
    """
    acc = matmul_codes(x.reshape(-1, x.shape[-1]), codes) + bias
    return acc.reshape(*x.shape[:-1], codes.shape[0])


def depthwise(x: Int8Array, weight: Int8Array, bias: Int32Array) -> Int32Array:
    """acc[t][d] = bias[d] + Σ_k x[t + k][d] · weight[k][d].

    x (B, T + taps - 1, D), weight (taps, D) -> (B, T, D).
    """
    taps = len(weight)
    frames = np.lib.stride_tricks.sliding_window_view(x.astype(np.int32), taps, axis=1)
    return (np.einsum("btdk,kd->btd", frames, weight.astype(np.int32)) + bias).astype(np.int32)


def requantize(acc: Int32Array, multipliers: Int32Array, shift: int, low: int = -127) -> Int8Array:
    """Sums to codes: clip(round(acc · multiplier / 2^shift), low, 127); (..., N).

    >>> requantize(np.int32([[100, -100]]), np.int32([1 << 30, 1 << 30]), 30, low=0).tolist()
    [[100, 0]]
    """
    return np.clip(_rescaled(acc, multipliers, shift), low, 127).astype(np.int8)


def requantize_wide(
    acc: Int32Array, multipliers: Int32Array, shift: int, residual: Int16Array | None = None
) -> Int16Array:
    """Sums to the residual stream: clip(residual + round(acc · multiplier / 2^shift), ±32767)."""
    before = 0 if residual is None else residual.astype(np.int64)
    return np.clip(before + _rescaled(acc, multipliers, shift), -32767, 32767).astype(np.int16)


def _rescaled(acc: Int32Array, multipliers: Int32Array, shift: int) -> Int64Array:
    return round_shift(acc.astype(np.int64) * multipliers.astype(np.int64), shift)


def inverse_root(v: int) -> tuple[int, int]:
    """(f, h) with f · 2^h / 2^61 about 1 / sqrt(v).

    h is the least number for which u = v · 4^h >= 2^60; r = 2^31 and six times
    r = (r + u / r) / 2, both divisions to the integer below; f = min(2^61 / r, 2^31 - 1).

    Args:
        v: 1 .. 2^61.

    >>> f, h = inverse_root(4)
    >>> round(f * 2**h / 2**61, 8)
    0.5
    """
    h = 0
    while v < 1 << 60:
        v, h = v * 4, h + 1
    r = 1 << 31
    for _ in range(ROOT_STEPS):
        r = (r + v // r) // 2
    return min((1 << 61) // r, (1 << 31) - 1), h


def layer_norm(
    x: Int16Array, weight: Int32Array, bias: Int64Array, epsilon: int, shift: int, high: int = 127
) -> NDArray[np.integer]:
    """Layer norm in fixed point.

    S = Σ x, v = D · Σ x² - S² + epsilon (D² times the variance), (f, h) = inverse_root(v),
    z = round((D · x - S) · f / 2^(45 - h)), the normalised element in units of 2^-16,
    y = clip(round((z · weight + bias) / 2^shift), ±high).

    Args:
        x: (..., D), D <= 32768.
        weight, bias: (D,).
        epsilon: 1 .. 2^60.
        high: 127 for int8, 32767 for int16.
    """
    wide = x.astype(np.int64).reshape(-1, x.shape[-1])
    d = wide.shape[1]
    out = np.empty(wide.shape, np.int8 if high == 127 else np.int16)
    for row, values in enumerate(wide):
        total = values.sum()
        f, h = inverse_root(int(d * (values * values).sum() - total * total + epsilon))
        z = round_shift((d * values - total) * f, 61 - NORM_BITS - h)
        out[row] = np.clip(round_shift(z * weight.astype(np.int64) + bias, shift), -high, high)
    return out.reshape(x.shape)


def exponentials() -> Int8Array:
    """rint(127 · exp(-i / 64)), i = 0 .. 511; the last ones are 0."""
    steps = np.arange(NUM_EXPONENTIALS) / STEPS_PER_NAT
    return np.rint(127 * np.exp(-steps)).astype(np.int8)


def attention(
    query: Int8Array,
    biases: tuple[Int8Array, Int8Array],
    key: Int8Array,
    value: Int8Array,
    distances: Int8Array,
    valid: Int8Array,
    multipliers: tuple[int, int],
    score_shift: int,
    multiplier: int,
    shift: int,
    heads: int,
) -> Int8Array:
    """Attention with relative positions, in integers.

    z_ij = round((a_i · k_j · m_a + b_i · p_{j + C - 1 - i} · m_b) / 2^score_shift), in 1/64 of a
    nat, with a_i = clip(q_i + content) and b_i = clip(q_i + position), ±127, and -2^61 for keys
    that are not valid; e_ij = E[min(max_j z - z_ij, 511)]; y_i = round((Σ_j e_ij · v_j) · f_i /
    2^(shift + 7)), f_i = (multiplier · 2^7) / Σ_j e_ij to the integer below; clipped to ±127.

    Args:
        query: (B, C, D).
        biases: content and position, (D,) each.
        key, value: (B, K, D).
        distances: (K + C - 1, D), farthest past first.
        valid: (B, K), 0 where a key must not be seen.
        multipliers: m_a and m_b.
        shift: at most 55.

    Returns:
        (B, C, D).
    """

    def split(x: NDArray[np.integer]) -> Int64Array:  # (..., T, D) -> (..., H, T, D / H)
        by_head = x.astype(np.int64).reshape(*x.shape[:-1], heads, -1)
        return np.swapaxes(by_head, -2, -3)

    with_bias = [np.clip(query.astype(np.int64) + bias, -127, 127) for bias in biases]
    content = split(with_bias[0]) @ np.swapaxes(split(key), -1, -2)  # (B, H, C, K)
    by_distance = split(with_bias[1]) @ np.swapaxes(split(distances), -1, -2)
    num_queries, num_keys = content.shape[-2:]
    column = np.arange(num_keys) + num_queries - 1 - np.arange(num_queries)[:, None]
    position = np.take_along_axis(by_distance, column[None, None], axis=-1)
    scores = round_shift(content * multipliers[0] + position * multipliers[1], score_shift)
    scores = np.where(valid[:, None, None] != 0, scores, UNSEEN)
    below = np.minimum(scores.max(axis=-1, keepdims=True) - scores, NUM_EXPONENTIALS - 1)
    weights = exponentials().astype(np.int64)[below]
    factor = (multiplier << 7) // weights.sum(axis=-1, keepdims=True)
    mean = round_shift((weights @ split(value)) * factor, shift + 7)
    return np.clip(np.swapaxes(mean, 1, 2).reshape(query.shape), -127, 127).astype(np.int8)
