"""Bootstrap over speakers: how sure a word error rate is, and a difference between two models."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

NUM_DRAWS = 10_000
SHARE = 0.95  # of the draws that lie within an interval
_SEED = 1

Counts = NDArray[np.int64]  # (speakers, 2): errors and words


@dataclass(frozen=True)
class Difference:
    """Relative difference of two word error rates, (a - b) / b, with its interval.

    Attributes:
        value: of all speakers.
        low, high: bounds of the middle 95 % of draws.
    """

    value: float
    low: float
    high: float

    def is_non_inferior(self, margin: float) -> bool:
        """Whether a is not worse than b by more than `margin`, relative, at 97.5 % one-sided."""
        return self.high <= margin


def rate_interval(counts: Counts) -> tuple[float, float]:
    """Bounds of the middle 95 % of a word error rate, from drawing speakers anew.

    Speakers are drawn with replacement; utterances of a speaker are not independent, speakers are.

    Args:
        counts: errors and words of each speaker.

    Returns:
        Lower and upper bound; (0, 0) without speakers.

    Source: Bisani and Ney 2004, "Bootstrap estimates for confidence intervals in ASR performance
        evaluation"; ours draws speakers instead of utterances.

    >>> rate_interval(np.array([[2, 10], [0, 10]]))
    (0.0, 0.2)
    """
    if not len(counts):
        return 0.0, 0.0
    return _middle(_rates(_draw(np.random.default_rng(_SEED), counts)[0]))


def relative_difference(a: list[Counts], b: list[Counts]) -> Difference:
    """Compare word errors of two models on the same utterances, by speakers drawn anew.

    Speakers are drawn as in `rate_interval`, within each split, the same for both models.

    Args:
        a: errors and words of each speaker, an array for each split; sums over seeds, if any.
        b: of the model that it is compared with; the same speakers in the same order.

    >>> one = np.array([[2, 10], [0, 10]])
    >>> relative_difference([one], [one]).value
    0.0
    """
    random = np.random.default_rng(_SEED)
    drawn_a = drawn_b = np.zeros((NUM_DRAWS, 2))
    for split_a, split_b in zip(a, b, strict=True):
        sums_a, sums_b = _draw(random, split_a, split_b)
        drawn_a, drawn_b = drawn_a + sums_a, drawn_b + sums_b
    low, high = _middle(_relative(drawn_a, drawn_b))
    all_a = np.stack([split.sum(axis=0) for split in a]).sum(axis=0, keepdims=True)
    all_b = np.stack([split.sum(axis=0) for split in b]).sum(axis=0, keepdims=True)
    return Difference(float(_relative(all_a, all_b)[0]), low, high)


def _draw(random: np.random.Generator, *models: Counts) -> list[Counts]:
    """(draws, 2) sums over the speakers of each draw, the same speakers of every model."""
    num_speakers = len(models[0])
    chosen = random.integers(num_speakers, size=(NUM_DRAWS, num_speakers))
    return [counts[chosen].sum(axis=1) for counts in models]


def _middle(values: NDArray[np.float64]) -> tuple[float, float]:
    """Bounds of the middle 95 %."""
    outside = (1 - SHARE) / 2
    low, high = np.quantile(values, [outside, 1 - outside])
    return float(low), float(high)


def _relative(a: NDArray[np.generic], b: NDArray[np.generic]) -> NDArray[np.float64]:
    """(draws, 2) of errors and words each -> (draws,) relative difference of the rates."""
    return (_rates(a) - _rates(b)) / np.maximum(_rates(b), 1e-9)


def _rates(counts: NDArray[np.generic]) -> NDArray[np.float64]:
    """(draws, 2) of errors and words -> (draws,) word error rates."""
    rates: NDArray[np.float64] = counts[:, 0] / np.maximum(counts[:, 1], 1)
    return rates
