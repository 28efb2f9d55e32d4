"""How far a long task is, on standard error: a bar on a terminal, elsewhere a line a minute."""

import sys
import time
from collections.abc import Iterable, Iterator, Sized
from typing import TypeVar

Item = TypeVar("Item")
_REFRESH_S = 0.5
_FIRST_LINE_S, _LINE_S = 20.0, 60.0  # a log shows within the first minute that something happens
_BAR_CELLS = 24


class Progress:
    """Shows how much of a task is done and the time left.

    Args:
        num_items: how many there are.
        num_done: of them before the task began, as in a run that goes on; they are not its speed.
    """

    def __init__(self, num_items: int, num_done: int = 0):
        self._num_items, self._num_before = num_items, num_done
        self._is_terminal = sys.stderr.isatty()
        self._start_s = time.monotonic()
        self._next_s = self._start_s + (_REFRESH_S if self._is_terminal else _FIRST_LINE_S)

    def show(self, num_done: int, label: str) -> None:
        """Show it, unless that happened a moment ago."""
        now_s = time.monotonic()
        if now_s < self._next_s or num_done <= self._num_before:
            return
        self._next_s = now_s + (_REFRESH_S if self._is_terminal else _LINE_S)
        left = f"{self.left(num_done)} left"
        if self._is_terminal:
            filled = min(_BAR_CELLS * num_done // max(1, self._num_items), _BAR_CELLS)
            bar = "█" * filled + "·" * (_BAR_CELLS - filled)
            text = f"{label} {bar} {num_done}/{self._num_items}, {left}"
            print(f"\r\x1b[K{text}", end="", file=sys.stderr, flush=True)
        else:
            print(f"{label}: {num_done} of {self._num_items}, {left}", file=sys.stderr, flush=True)

    def left(self, num_done: int) -> str:
        """The time left, at the speed so far, as hours, minutes and seconds."""
        per_item_s = (time.monotonic() - self._start_s) / max(1, num_done - self._num_before)
        minutes, seconds = divmod(round(per_item_s * (self._num_items - num_done)), 60)
        hours, minutes = divmod(minutes, 60)
        return f"{hours}:{minutes:02d}:{seconds:02d}"

    def clear(self) -> None:
        """Take the bar away."""
        if self._is_terminal:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)


def progress_bar(items: Iterable[Item], label: str, num_items: int | None = None) -> Iterator[Item]:
    """Yield the items, showing how many are done and the time left.

    Args:
        num_items: how many there are; needed where `items` does not know.
    """
    total = len(items) if num_items is None and isinstance(items, Sized) else num_items or 0
    progress = Progress(total)
    for done, item in enumerate(items):
        progress.show(done, label)
        yield item
    progress.clear()
