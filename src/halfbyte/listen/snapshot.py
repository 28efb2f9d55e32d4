"""Saved states as bytes: some numbers and some byte strings."""

import json
import struct

from halfbyte.errors import UsageError

_MAGIC = b"HBST0001"


def pack_snapshot(numbers: dict[str, int], parts: list[bytes]) -> bytes:
    """Numbers and byte strings as one byte string."""
    head = json.dumps([numbers, [len(part) for part in parts]]).encode()
    return b"".join([_MAGIC, struct.pack("<I", len(head)), head, *parts])


def unpack_snapshot(saved: bytes) -> tuple[dict[str, int], list[bytes]]:
    """What `pack_snapshot` was given.

    Raises:
        UsageError: these are not such bytes.
    """
    try:
        if saved[:8] != _MAGIC:
            raise ValueError
        (head_bytes,) = struct.unpack_from("<I", saved, 8)
        numbers, sizes = json.loads(saved[12 : 12 + head_bytes])
        at = 12 + head_bytes
        if at + sum(sizes) != len(saved):
            raise ValueError
    except (ValueError, struct.error):
        raise UsageError("not the saved state of a stream; expected what save() gave") from None
    parts = []
    for size in sizes:
        parts.append(saved[at : at + size])
        at += size
    return numbers, parts
