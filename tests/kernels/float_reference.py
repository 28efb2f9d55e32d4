"""The float operators in numpy, element by element as docs/integer-spec.md orders them.

numpy's float32 +, -, *, / and sqrt round once each, so the kernels must give these bits.
"""

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float32]
f32 = np.float32

LOG2_E = f32(float.fromhex("0x1.715476p+0"))
LN2_HIGH = f32(0.693359375)
LN2_LOW = f32(float.fromhex("-0x1.bd0106p-13"))
EXP_COEFFICIENTS = [
    f32(float.fromhex(text))
    for text in (
        "0x1.fffffcp-2",
        "0x1.555490p-3",
        "0x1.5558f4p-5",
        "0x1.123a6cp-7",
        "0x1.6a2352p-10",
    )
]
LOG_COEFFICIENTS = [f32(0.66666776), f32(0.39977527), f32(0.2987228)]
LANES = 16


def exp(x: FloatArray) -> FloatArray:
    inside = np.clip(x, f32(-87), f32(88))
    n = np.rint(inside * LOG2_E)
    r = (inside - n * LN2_HIGH) - n * LN2_LOW
    q = EXP_COEFFICIENTS[4]
    for c in EXP_COEFFICIENTS[3::-1]:
        q = q * r + c
    y = ((r * r) * q + r) + f32(1)
    finite = y * np.ldexp(f32(1), n.astype(np.int32))
    return np.where(x < -87, f32(0), np.where(x > 88, f32(np.inf), finite))


def log(x: FloatArray) -> FloatArray:
    """For finite x >= 0."""
    is_denormal = x < f32(2**-126)
    bits = np.where(is_denormal, x * f32(2**24), x).view(np.int32)
    exponent = (bits - 0x3F3504F3) >> 23
    f = (bits - (exponent << 23)).view(np.float32) - f32(1)
    e = (exponent - np.where(is_denormal, 24, 0)).astype(np.float32)
    s = f / (f32(2) + f)
    z = s * s
    q = (LOG_COEFFICIENTS[2] * z + LOG_COEFFICIENTS[1]) * z + LOG_COEFFICIENTS[0]
    y = (((s * z) * q + e * LN2_LOW) + (s + s)) + e * LN2_HIGH
    return np.where(x == 0, f32(-np.inf), y)


def sigmoid(x: FloatArray) -> FloatArray:
    return f32(1) / (f32(1) + exp(-x))


def silu(x: FloatArray) -> FloatArray:
    return x * sigmoid(x)


def tanh(x: FloatArray) -> FloatArray:
    return f32(1) - f32(2) / (exp(x + x) + f32(1))


def relu(x: FloatArray) -> FloatArray:
    return np.where(x > 0, x, f32(0))


def glu(x: FloatArray) -> FloatArray:
    d = x.shape[1] // 2
    return x[:, :d] * sigmoid(x[:, d:])


def lane_sum(x: FloatArray) -> FloatArray:
    """(rows, D) -> (rows, 1): 16 lanes, then halves."""
    lanes = np.zeros((len(x), LANES), np.float32)
    for i in range(x.shape[1]):
        lanes[:, i % LANES] = lanes[:, i % LANES] + x[:, i]
    while lanes.shape[1] > 1:
        half = lanes.shape[1] // 2
        lanes = lanes[:, :half] + lanes[:, half:]
    return lanes


def softmax(x: FloatArray) -> FloatArray:
    e = exp(x - x.max(axis=1, keepdims=True))
    return e / lane_sum(e)


def log_softmax(x: FloatArray) -> FloatArray:
    centred = x - x.max(axis=1, keepdims=True)
    return centred - log(lane_sum(exp(centred)))


def layer_norm(x: FloatArray, weight: FloatArray, bias: FloatArray, epsilon: float) -> FloatArray:
    d = f32(x.shape[1])
    mean = lane_sum(x) / d
    centred = x - mean
    variance = lane_sum(centred * centred) / d
    factor = f32(1) / np.sqrt(variance + f32(epsilon))
    return (centred * factor) * weight + bias


def gemm(a: FloatArray, b: FloatArray) -> FloatArray:
    out = np.zeros((a.shape[0], b.shape[1]), np.float32)
    for k in range(a.shape[1]):
        out = out + a[:, k : k + 1] * b[k : k + 1]
    return out


def depthwise_conv(x: FloatArray, weight: FloatArray, bias: FloatArray) -> FloatArray:
    frames = len(x) - len(weight) + 1
    out = np.zeros((frames, x.shape[1]), np.float32)
    for k in range(len(weight)):
        out = out + x[k : k + frames] * weight[k]
    return out + bias
