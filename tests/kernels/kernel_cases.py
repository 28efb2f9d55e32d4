"""Inputs and guarded outputs for the kernel tests. The seed of a case is the case itself."""

import zlib
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

_MARGIN = 67  # odd, so that the payload is not aligned to a vector

# Rows around the blocks of 1, 2, 4 and 8; outputs around tiles of 16, 32 and 64; odd inputs.
SHAPES = [
    (1, 1, 1),
    (1, 16, 144),
    (1, 65, 63),
    (2, 15, 7),
    (3, 17, 8),
    (4, 64, 65),
    (4, 80, 9),
    (5, 33, 31),
    (7, 31, 4),
    (8, 48, 129),
    (9, 1, 64),
    (17, 79, 96),
    (6, 144, 5),
    (2, 100, 576),
]  # (M, N, K)

CODE_FILLS = ["random", "all_min", "all_max", "min_times_max", "zeros"]
FLOAT_FILLS = ["random", "zeros", "outlier", "denormals", "tiny_rows", "huge", "ties"]


class Guarded:
    """An output array between two canaries."""

    def __init__(self, shape: tuple[int, ...], dtype: DTypeLike) -> None:
        count = int(np.prod(shape))
        self._memory = np.zeros(count + 2 * _MARGIN, dtype)
        self._memory.view(np.uint8)[:] = 0xA5
        self._count = count
        self.view = self._memory[_MARGIN : _MARGIN + count].reshape(shape)

    def assert_intact(self) -> None:
        """Nothing outside the view was written."""
        for canary in (self._memory[:_MARGIN], self._memory[_MARGIN + self._count :]):
            assert (canary.view(np.uint8) == 0xA5).all()


def generator(*case: Any) -> np.random.Generator:
    """Random numbers that depend on nothing but the case."""
    return np.random.default_rng(zlib.crc32(repr(case).encode()))


def unaligned(array: NDArray[Any]) -> NDArray[Any]:
    """A copy that starts off any vector boundary."""
    memory = np.empty(array.size + _MARGIN, array.dtype)
    copy = memory[_MARGIN:].reshape(array.shape)
    copy[...] = array
    return copy


def make_codes(
    fill: str, bits: int, shape: tuple[int, ...], *, is_weight: bool
) -> NDArray[np.int8]:
    """Codes in the whole two's complement range, -128 (or -8) included; one bit is -1 or 1."""
    if bits == 1:
        signs = make_codes(fill, 8, shape, is_weight=is_weight) >= 0
        return signs.astype(np.int8) * np.int8(2) - np.int8(1)
    low, high = -(2 ** (bits - 1)), 2 ** (bits - 1) - 1
    if fill == "random":
        return generator(fill, bits, shape, is_weight).integers(low, high + 1, shape, np.int8)
    value = {
        "all_min": low,
        "all_max": high,
        "min_times_max": high if is_weight else low,
        "zeros": 0,
    }
    return np.full(shape, value[fill], np.int8)


def make_floats(fill: str, shape: tuple[int, int]) -> NDArray[np.float32]:
    """Finite rows of float32, also those that quantisers stumble on."""
    x = generator(fill, shape).standard_normal(shape).astype(np.float32)
    if fill == "zeros":
        x *= np.float32(0)  # both signs of zero
    elif fill == "outlier":
        x[:, x.shape[1] // 2] = 3e4
    elif fill == "denormals":
        x *= np.float32(1e-40)
    elif fill == "tiny_rows":  # amax on both sides of 2^-100
        x /= np.abs(x).max(axis=1, keepdims=True)
        x[::2] *= np.nextafter(np.float32(2**-100), np.float32(0))
        x[1::2] *= np.float32(2**-100)
    elif fill == "huge":
        x *= np.float32(1e30)
    elif fill == "ties":  # scale 1: every second value halfway between two codes
        x = np.float32(np.rint(x * 100).clip(-126, 126) + 0.5)
        x[:, 0] = 127
    return unaligned(x)
