"""The C library's memory: what clients leave behind goes back to the system."""

import ctypes
import sys

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
