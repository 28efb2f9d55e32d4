"""A progress bar on standard error with the time left; silent where nobody looks."""

import sys
import time
from collections.abc import Iterable, Iterator, Sized
from typing import TypeVar

Item = TypeVar("Item")
_REFRESH_S = 0.5
_BAR_CELLS = 24


def progress_bar(items: Iterable[Item], label: str, num_items: int | None = None) -> Iterator[Item]:
    """Yield the items, showing how many are done and the time left.

    Args:
        num_items: how many there are; needed where `items` does not know.
    """
    total = len(items) if num_items is None and isinstance(items, Sized) else num_items or 0
    shown = sys.stderr.isatty()
    start = last = time.monotonic()
    for done, item in enumerate(items):
        now = time.monotonic()
        if shown and done and now - last > _REFRESH_S:
            last = now
            _draw(label, done, total, (now - start) / done * (total - done))
        yield item
    if shown:
        sys.stderr.write("\r\x1b[K")


def _draw(label: str, done: int, total: int, left_s: float) -> None:
    filled = min(_BAR_CELLS * done // max(1, total), _BAR_CELLS)
    bar = "█" * filled + "·" * (_BAR_CELLS - filled)
    minutes, seconds = divmod(round(left_s), 60)
    sys.stderr.write(f"\r\x1b[K{label} {bar} {done}/{total}, {minutes}:{seconds:02d} left")
    sys.stderr.flush()
