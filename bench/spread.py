"""Timing: medians and how far single times lie from them."""

import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

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
        return statistics.median(abs(s - self.median) for s in self.seconds)

    @property
    def p95(self) -> float:
        """What one run in twenty exceeds."""
        return sorted(self.seconds)[max(0, -(-len(self.seconds) * 95 // 100) - 1)]

    def figures(self) -> dict[str, float]:
        """Median, MAD and p95 by name."""
        return {"median": self.median, "mad": self.mad, "p95": self.p95}


@dataclass(frozen=True)
class Times:
    """Of one call: cold, after the others have had their turn and the caches; warm, repeated."""

    cold: Spread
    warm: Spread


def time_in_turns(calls: Mapping[str, Callable[[], object]], repeat: int) -> dict[str, Times]:
    """Time calls in turns, so that a disturbance meets all alike.

    In each of `repeat` turns a call runs once cold and once warm. The first turns are not counted.
    """
    cold: dict[str, list[float]] = {name: [] for name in calls}
    warm: dict[str, list[float]] = {name: [] for name in calls}
    for turn in range(WARM_UP + repeat):
        for name, call in calls.items():
            for seconds in (cold[name], warm[name]):
                start_s = time.perf_counter()
                call()
                taken_s = time.perf_counter() - start_s
                if turn >= WARM_UP:
                    seconds.append(taken_s)
    return {name: Times(Spread(cold[name]), Spread(warm[name])) for name in calls}
