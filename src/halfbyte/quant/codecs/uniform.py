"""Codes of 1 to 8 bits at even distances, packed; docs/integer-spec.md, "Packed weights", draws it.

Tiles of 16 outputs x 4 inputs, groups of 64 bytes, one layout for all instruction sets.
"""

import numpy as np

from halfbyte.errors import InputError, UsageError
from halfbyte.quant.codecs.codec import ByteArray, Codec, Int8Array

TILE_OUTPUTS = 16
BLOCK_INPUTS = 4
_OPERATORS = {
    "dynamic": "Linear",
    "static": "StaticLinear",
    "weight_only": "WeightOnlyLinear",
    "table": "Embedding",
    "codes": "IntLinear",
}
_TENSOR_TYPES = {1: 7, 2: 8, 3: 9, 4: 5, 5: 10, 6: 11, 7: 12, 8: 6}


def planes(bits: int) -> list[int]:
    """Widths of the planes that codes of so many bits are cut into, lowest bits first.

    Raises:
        UsageError: `bits` is not 1 to 8.

    >>> planes(7), planes(4), planes(8)
    ([4, 2, 1], [4], [8])
    """
    if not 1 <= bits <= 8:
        raise UsageError(f"weights have {bits} bits; expected 1 to 8")
    return [width for width in (8, 4, 2, 1) if bits & width]


def packed_size(n: int, k: int, bits: int) -> int:
    """Bytes of N x K packed codes.

    >>> packed_size(16, 8, bits=4)
    64
    """
    padded_n, padded_k = _padded_shape(n, k, bits)
    return padded_n * padded_k * bits // 8


def pack(codes: Int8Array, bits: int) -> ByteArray:
    """Codes to the tiled layout.

    A code is cut into planes of 4, 2 and 1 bits. A group of 64 bytes holds, of one plane of p
    bits, 8 / p adjacent K blocks of 4 inputs of a tile of 16 outputs, byte [n * 4 + k], the first
    block in the lowest bits. Order: tile, unit of K (the fewest inputs that fill whole groups of
    every plane), plane, group. Two's complement; one bit says +1 or -1 (unset). Padding is zero.

    Args:
        codes: (N, K) int8, in -2^(bits-1)..2^(bits-1)-1, or -1 and 1 for one bit.
        bits: 1 to 8.

    Returns:
        (bytes,) uint8: padded N * padded K * bits / 8 bytes.

    Raises:
        InputError: a code does not fit.
        UsageError: `bits` is not 1 to 8.

    >>> pack(np.int8([[1, 2, 3, 4, -1]]), bits=4)[:4].tolist()
    [241, 2, 3, 4]
    """
    widths = planes(bits)
    _check_codes(codes, bits)
    n, k = codes.shape
    stored = (codes > 0).astype(np.uint8) if bits == 1 else codes.view(np.uint8)
    padded = np.zeros(_padded_shape(n, k, bits), np.uint8)
    padded[:n, :k] = stored
    tiles, blocks = padded.shape[0] // TILE_OUTPUTS, _unit_inputs(bits) // BLOCK_INPUTS
    by_unit = padded.reshape(tiles, TILE_OUTPUTS, -1, blocks, BLOCK_INPUTS)
    by_unit = by_unit.transpose(0, 2, 3, 1, 4)  # (tile, unit, block, output, input)
    groups = []
    place = 0
    for width in widths:
        plane = (by_unit >> place) & (2**width - 1)
        shape = (*plane.shape[:2], -1, 8 // width, TILE_OUTPUTS, BLOCK_INPUTS)
        shifts = np.arange(0, 8, width, dtype=np.uint8).reshape(-1, 1, 1)
        groups.append(np.bitwise_or.reduce(plane.reshape(shape) << shifts, axis=3))
        place += width
    return np.concatenate(groups, axis=2).reshape(-1)


def unpack(packed: ByteArray, bits: int, n: int, k: int) -> Int8Array:
    """The inverse of `pack`.

    Args:
        packed: (bytes,) uint8.
        bits: 1 to 8.
        n: outputs N.
        k: inputs K.

    Returns:
        (N, K) int8.

    Raises:
        InputError: `packed` is not as long as N and K need.
        UsageError: `bits` is not 1 to 8.

    >>> unpack(pack(np.int8([[1, -8]]), bits=4), bits=4, n=1, k=2).tolist()
    [[1, -8]]
    """
    widths = planes(bits)
    padded_n, padded_k = _padded_shape(n, k, bits)
    if packed.size != packed_size(n, k, bits):
        raise InputError(f"got {packed.size} packed bytes; (N, K) needs {packed_size(n, k, bits)}")
    blocks = _unit_inputs(bits) // BLOCK_INPUTS
    tiles, units = padded_n // TILE_OUTPUTS, padded_k // _unit_inputs(bits)
    groups = packed.reshape(tiles, units, -1, TILE_OUTPUTS, BLOCK_INPUTS)
    stored = np.zeros((tiles, units, blocks, TILE_OUTPUTS, BLOCK_INPUTS), np.uint8)
    first, place = 0, 0
    for width in widths:
        count = blocks * width // 8
        shifts = np.arange(0, 8, width, dtype=np.uint8).reshape(-1, 1, 1)
        plane = (groups[:, :, first : first + count, None] >> shifts) & (2**width - 1)
        stored |= plane.reshape(stored.shape) << place
        first, place = first + count, place + width
    codes = stored.transpose(0, 3, 1, 2, 4).reshape(padded_n, padded_k)[:n, :k]
    if bits == 1:
        return codes.astype(np.int8) * np.int8(2) - np.int8(1)
    unused = 8 - bits  # the sign bit goes up to the top and comes back with copies
    return (codes << unused).view(np.int8) >> np.int8(unused)


def _unit_inputs(bits: int) -> int:
    return BLOCK_INPUTS * 8 // planes(bits)[-1]


def _padded_shape(n: int, k: int, bits: int) -> tuple[int, int]:
    inputs = _unit_inputs(bits)
    return -(-n // TILE_OUTPUTS) * TILE_OUTPUTS, -(-k // inputs) * inputs


def _check_codes(codes: Int8Array, bits: int) -> None:
    if bits == 1 and not (np.abs(codes.astype(np.int16)) == 1).all():
        raise InputError("other codes than -1 and 1; 1-bit codes are -1 and 1")
    low, high = -(2 ** (bits - 1)), 2 ** (bits - 1) - 1
    if bits > 1 and codes.size and (codes.min() < low or codes.max() > high):
        raise InputError(
            f"codes are {codes.min()}..{codes.max()}; {bits}-bit codes lie in {low}..{high}"
        )


class Uniform(Codec):
    """Codes of `bits` bits, value = code · scale."""

    def __init__(self, bits: int):
        self.name, self.bits = f"uniform{bits}", bits
        self.attributes, self.operators = {"weight_bits": bits}, _OPERATORS
        self.tensor_type = _TENSOR_TYPES[bits]
        self.onnx_type = "INT4" if bits <= 4 else "INT8"  # the narrowest container of opset 21

    def pack(self, codes: Int8Array) -> ByteArray:
        return pack(codes, self.bits)

    def unpack(self, packed: ByteArray, n: int, k: int) -> Int8Array:
        return unpack(packed, self.bits, n, k)

    def packed_size(self, n: int, k: int) -> int:
        return packed_size(n, k, self.bits)


CODECS = [Uniform(bits) for bits in _TENSOR_TYPES]
