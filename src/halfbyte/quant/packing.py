"""The packed weight layout in numpy; docs/integer-spec.md, "Packed weights", draws it.

Tiles of 16 outputs x 4 inputs, 64 bytes a group, one layout for all instruction sets.
"""

import numpy as np
from numpy.typing import NDArray

from halfbyte.errors import InputError, UsageError

TILE_OUTPUTS = 16
BLOCK_INPUTS = 4

Int8Array = NDArray[np.int8]
ByteArray = NDArray[np.uint8]


def _blocks_per_group(bits: int) -> int:
    if bits not in (4, 8):
        raise UsageError(f"weights of {bits} bits came; packed weights have 4 or 8")
    return 8 // bits


def _padded_shape(n: int, k: int, bits: int) -> tuple[int, int]:
    inputs = BLOCK_INPUTS * _blocks_per_group(bits)
    return -(-n // TILE_OUTPUTS) * TILE_OUTPUTS, -(-k // inputs) * inputs


def pack(codes: Int8Array, bits: int) -> ByteArray:
    """Codes to the tiled layout.

    A group of 64 bytes holds one K block of 4 inputs of a tile (8 bits): byte [n * 4 + k]; or two
    adjacent K blocks (4 bits): the even block in the low nibbles, the odd one in the high nibbles,
    two's complement. Groups lie in the order (tile, K). Padding is zero codes.

    Args:
        codes: (N, K) int8, in -8..7 if `bits` is 4.
        bits: 4 or 8.

    Returns:
        (bytes,) uint8: padded N * padded K * bits / 8 bytes.

    Raises:
        InputError: a code does not fit 4 bits.
        UsageError: `bits` is not 4 or 8.

    >>> pack(np.int8([[1, 2, 3, 4, -1]]), bits=4)[:4].tolist()
    [241, 2, 3, 4]
    """
    per_group = _blocks_per_group(bits)
    if bits == 4 and codes.size and (codes.min() < -8 or codes.max() > 7):
        raise InputError(f"codes {codes.min()}..{codes.max()} came; 4-bit codes lie in -8..7")
    n, k = codes.shape
    padded = np.zeros(_padded_shape(n, k, bits), np.int8)
    padded[:n, :k] = codes
    tiles, groups = padded.shape[0] // TILE_OUTPUTS, padded.shape[1] // (BLOCK_INPUTS * per_group)
    blocks = padded.view(np.uint8).reshape(tiles, TILE_OUTPUTS, groups, per_group, BLOCK_INPUTS)
    blocks = blocks.transpose(3, 0, 2, 1, 4)  # (block in group, tile, group, output, input)
    if bits == 8:
        return np.ascontiguousarray(blocks[0]).reshape(-1)
    packed: ByteArray = (blocks[0] & 15) | (blocks[1] << 4)
    return packed.reshape(-1)


def unpack(packed: ByteArray, bits: int, n: int, k: int) -> Int8Array:
    """The inverse of `pack`.

    Args:
        packed: (bytes,) uint8.
        bits: 4 or 8.
        n: outputs N.
        k: inputs K.

    Returns:
        (N, K) int8.

    Raises:
        InputError: `packed` is not as long as N and K need.
        UsageError: `bits` is not 4 or 8.

    >>> unpack(pack(np.int8([[1, -8]]), bits=4), bits=4, n=1, k=2).tolist()
    [[1, -8]]
    """
    per_group = _blocks_per_group(bits)
    padded_n, padded_k = _padded_shape(n, k, bits)
    if packed.size * 8 != padded_n * padded_k * bits:
        raise InputError(f"{packed.size} packed bytes came; N and K need another number")
    groups = packed.reshape(padded_n // TILE_OUTPUTS, -1, TILE_OUTPUTS, BLOCK_INPUTS)
    if bits == 4:
        # (tile, group, block, output, input)
        nibbles = np.stack([groups & 15, groups >> 4], axis=2)
        blocks = (nibbles ^ 8).astype(np.int8) - np.int8(8)
    else:
        blocks = groups.view(np.int8).reshape(*groups.shape[:2], per_group, *groups.shape[2:])
    codes = blocks.transpose(0, 3, 1, 2, 4).reshape(padded_n, padded_k)
    return np.ascontiguousarray(codes[:n, :k])
