"""Words found and false alarms: counts at one threshold, and the curve over all of them.

A detection error trade-off curve has, for every threshold, the share of words that are missed and
the false alarms in an hour. Where an alarm rate is asked for, the threshold is the lowest that
keeps it in the sound at hand; of T hours without an alarm no rate below 3 / T can be claimed, at
95 %.
"""

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from halfbyte.scores.bootstrap import rate_interval
from halfbyte.scores.score import Score

MS_PER_HOUR = 3_600_000
_ABOVE = 1e-6  # scores have six decimals


@dataclass(frozen=True)
class DetectionScore(Score):
    """Counts over recordings that were listened to.

    Attributes:
        num_words: keywords that were said.
        num_found: of these, that were detected.
        num_false: detections where their keyword was not said.
        num_ms: of sound.
    """

    num_words: int = 0
    num_found: int = 0
    num_false: int = 0
    num_ms: int = 0

    def figures(self) -> dict[str, float]:
        """Share of words that were missed, and false alarms an hour of sound."""
        return {
            "misses": 1 - self.num_found / max(1, self.num_words),
            "alarms_per_hour": self.num_false * MS_PER_HOUR / max(1, self.num_ms),
        }


@dataclass
class Trials:
    """What a detector made of one keyword.

    Attributes:
        words: of each time that it was said, the speaker and the best score; -1 without any.
        alarms: scores where it was not said.
        hours: of sound in which it was not said.
    """

    words: list[tuple[str, float]] = field(default_factory=list)
    alarms: list[float] = field(default_factory=list)
    hours: float = 0.0

    def misses(self, threshold: float) -> float:
        """Share of the words whose score is lower."""
        return sum(score < threshold for _, score in self.words) / max(1, len(self.words))

    def misses_interval(self, threshold: float) -> tuple[float, float]:
        """95 % of what other speakers would give."""
        counts: dict[str, list[int]] = {}
        for speaker, score in self.words:
            one = counts.setdefault(speaker, [0, 0])
            one[0], one[1] = one[0] + (score < threshold), one[1] + 1
        return rate_interval(np.array(list(counts.values())))

    def alarms_per_hour(self, threshold: float) -> float:
        """Alarms whose score is not lower."""
        return sum(score >= threshold for score in self.alarms) / max(1e-9, self.hours)

    def threshold_at(self, alarms_per_hour: float) -> float:
        """The lowest threshold that keeps an alarm rate."""
        num_allowed = int(alarms_per_hour * self.hours + 1e-9)
        highest = sorted(self.alarms, reverse=True)
        return round(highest[num_allowed] + _ABOVE, 6) if len(highest) > num_allowed else 0.0

    def curve(self) -> list[tuple[float, float, float]]:
        """(threshold, misses, alarms an hour), threshold by threshold, where misses change.

        >>> trials = Trials([("a", 0.9), ("b", 0.5)], [0.7, 0.2], hours=2.0)
        >>> trials.curve()
        [(0.5, 0.0, 0.5), (0.9, 0.5, 0.0)]
        """
        scores, alarms = sorted(score for _, score in self.words), sorted(self.alarms)
        thresholds = sorted({score for score in scores if score >= 0})
        return [
            (
                threshold,
                bisect_left(scores, threshold) / max(1, len(scores)),
                (len(alarms) - bisect_left(alarms, threshold)) / max(1e-9, self.hours),
            )
            for threshold in thresholds
        ]


def mean_misses_at(trials: Sequence[Trials], alarms_per_hour: float) -> float:
    """Misses at an alarm rate of each keyword, averaged over keywords."""
    rates = [one.misses(one.threshold_at(alarms_per_hour)) for one in trials]
    return sum(rates) / max(1, len(rates))
