"""Saved states as bytes: some numbers and names, and some byte strings."""

import json
import struct
import zlib
from typing import Any

from halfbyte.errors import UsageError

_MAGIC = b"HBST0005"
_HEAD = struct.Struct("<8sII")  # magic, CRC-32 of what follows the head, bytes of its JSON


def pack_snapshot(numbers: dict[str, Any], parts: list[bytes]) -> bytes:
    """Numbers and byte strings as one byte string."""
    head = json.dumps([numbers, [len(part) for part in parts]]).encode()
    content = b"".join([head, *parts])
    return _HEAD.pack(_MAGIC, zlib.crc32(content), len(head)) + content


def unpack_snapshot(saved: bytes) -> tuple[dict[str, Any], list[bytes]]:
    """What `pack_snapshot` was given.

    Raises:
        UsageError: these are not such bytes.
    """
    try:
        magic, checksum, head_bytes = _HEAD.unpack_from(saved)
        at = _HEAD.size + head_bytes
        if magic != _MAGIC or zlib.crc32(saved[_HEAD.size :]) != checksum:
            raise ValueError
        numbers, sizes = json.loads(saved[_HEAD.size : at])
        is_right = isinstance(numbers, dict) and all(
            type(size) is int and size >= 0 for size in sizes
        )
        if not is_right or at + sum(sizes) != len(saved):
            raise ValueError
    except (ValueError, TypeError, RecursionError, struct.error):
        raise UsageError(
            "not the saved state of a stream, or damaged; expected what save() gave"
        ) from None
    parts = []
    for size in sizes:
        parts.append(saved[at : at + size])
        at += size
    return numbers, parts
