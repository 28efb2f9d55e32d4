"""Timing: medians and how far single times lie from them."""

import statistics
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from itertools import chain

WARM_UP = 3


@dataclass(frozen=True)
class Spread:
    """Seconds of repeated runs."""

    seconds: list[float]

    @property
    def median(self) -> float:
        return statistics.median(self.seconds)

    @property
    def mad(self) -> float:
        """Median absolute deviation from the median."""
        median = self.median
        return statistics.median(abs(s - median) for s in self.seconds)

    @property
    def p95(self) -> float:
        """What one run in twenty exceeds."""
        return sorted(self.seconds)[max(0, -(-len(self.seconds) * 95 // 100) - 1)]

    def figures(self) -> dict[str, float]:
        """Median, MAD and p95 by name."""
        return {"median": self.median, "mad": self.mad, "p95": self.p95}


def ratio(a: float, b: float, digits: int = 2) -> float | None:
    """a / b, rounded; None where b is a time of which the clock saw nothing (a busy machine)."""
    return round(a / b, digits) if b > 0 else None


def shown(number: float | None, form: str) -> str:
    """A number in a table; a dash where there is none."""
    return "-" if number is None else format(number, form)


def percent(share: float | None) -> str:
    """A share of 1 in whole hundredths."""
    return shown(None if share is None else 100 * share, ".0f")


@dataclass(frozen=True)
class Times:
    """Of one call: cold, after the others have had their turn and the caches; warm, repeated."""

    cold: Spread
    warm: Spread


def time_in_turns(
    calls: Mapping[str, Callable[[], object]],
    turns: Iterable[object],
    clock: Callable[[], float] = time.perf_counter,
) -> dict[str, Times]:
    """Time calls in turns, so that a disturbance meets all alike.

    In each turn a call runs once cold and once warm. WARM_UP turns before are not counted.

    Args:
        turns: one item a turn, such as range(repeat) or a progress bar.
        clock: in seconds; the processor time of the process leaves out what others take.
    """
    cold: dict[str, list[float]] = {name: [] for name in calls}
    warm: dict[str, list[float]] = {name: [] for name in calls}
    for _ in chain(range(WARM_UP), turns):
        for name, call in calls.items():
            for seconds in (cold[name], warm[name]):
                start_s = clock()
                call()
                seconds.append(clock() - start_s)
    return {name: Times(*(Spread(s[name][WARM_UP:]) for s in (cold, warm))) for name in calls}
