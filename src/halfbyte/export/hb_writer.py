"""The container of a model file: header, directory, sections; docs/model-file.md has the layout."""

import struct
import zlib
from collections.abc import Mapping

import numpy as np

from halfbyte.export.graph_ir import Array
from halfbyte.export.graph_section import (
    ALIGNMENT_BYTES,
    DTYPE_NUMBERS,
    FLOAT16,
    i64,
    is_half,
    u32,
)

VERSION = 2
ENTRY_BYTES = HEADER_BYTES = 64


def _aligned(num_bytes: int) -> int:
    return -(-num_bytes // ALIGNMENT_BYTES) * ALIGNMENT_BYTES


def container(sections: Mapping[str, bytes]) -> bytes:
    """All bytes of a model file with these sections, in this order."""
    offset = _aligned(HEADER_BYTES + ENTRY_BYTES * len(sections))
    directory, body = b"", b""
    for name, content in sections.items():
        body += bytes(offset - HEADER_BYTES - ENTRY_BYTES * len(sections) - len(body)) + content
        entry = (offset, len(content), zlib.crc32(content), 0)
        directory += struct.pack("<40sQQII", name.encode(), *entry)
        offset = _aligned(offset + len(content))
    num_bytes = HEADER_BYTES + len(directory) + len(body)
    numbers = (VERSION, len(sections), num_bytes, zlib.crc32(directory))
    header = struct.pack("<8sIIQI32x", b"HALFBYTE", *numbers)
    return header + u32(zlib.crc32(header)) + directory + body


def tensor_section(tensors: Mapping[str, Array]) -> bytes:
    """Named tensors, as the section `test` holds them."""
    parts = [u32(len(tensors))]
    for name, array in tensors.items():
        text = name.encode()
        stored: Array = np.ascontiguousarray(array)
        number = DTYPE_NUMBERS[stored.dtype]
        if is_half(stored):
            number, stored = FLOAT16, stored.astype(np.float16)
        parts.append(u32(len(text)) + text + u32(number, array.ndim))
        parts.append(i64(*array.shape) + stored.tobytes())
    return b"".join(parts)
