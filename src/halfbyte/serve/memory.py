"""This process's memory: how much it is, and that what clients leave behind goes back."""

import ctypes
import os
import sys
from pathlib import Path

_M_TRIM_THRESHOLD = -1  # of glibc's malloc.h
_M_MMAP_THRESHOLD = -3
_M_ARENA_MAX = -8
_LARGE_BYTES = 128 << 10  # glibc's own starting value
_NUM_ARENAS = 2


def settle_malloc() -> None:
    """Pin thresholds that glibc otherwise raises with every large block that is freed.

    After one message of a megabyte it would take such blocks from the heap, whose holes then grow:
    78 KB for every client that sends one, against 3 KB. Other C libraries are left as they are.
    """
    if not sys.platform.startswith("linux"):
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_MMAP_THRESHOLD, _LARGE_BYTES)
        mallopt(_M_TRIM_THRESHOLD, 2 * _LARGE_BYTES)
        mallopt(_M_ARENA_MAX, _NUM_ARENAS)


class _MallocFigures(ctypes.Structure):
    """glibc's struct mallinfo2, of malloc.h."""

    _fields_ = tuple(
        (name, ctypes.c_size_t)
        for name in (
            *("arena", "ordblks", "smblks", "hblks", "hblkhd"),
            *("usmblks", "fsmblks", "uordblks", "fordblks", "keepcost"),
        )
    )


def heap_used_bytes() -> int:
    """What the C library has handed out and not got back; 0 where it does not say.

    Resident memory above it is the interpreter's, the model's, or free and kept for the next
    client.
    """
    if not sys.platform.startswith("linux"):
        return 0
    mallinfo2 = getattr(ctypes.CDLL(None), "mallinfo2", None)
    if mallinfo2 is None:
        return 0
    mallinfo2.restype = _MallocFigures
    figures = mallinfo2()
    return int(figures.uordblks + figures.hblkhd)


def resident_bytes() -> int:
    """Memory of this process; 0 where the system does not say."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except OSError:
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE")
