"""Paired bootstrap over speakers: how sure a difference between two models is."""

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


def relative_difference(a: list[Counts], b: list[Counts]) -> Difference:
    """Compare word errors of two models on the same utterances, by speakers drawn anew.

    Speakers are drawn with replacement within each split, the same for both models; utterances
    of a speaker are not independent, speakers are.

    Args:
        a: errors and words of each speaker, an array for each split; sums over seeds, if any.
        b: of the model that it is compared with; the same speakers in the same order.

    Source: Bisani and Ney 2004, "Bootstrap estimates for confidence intervals in ASR performance
        evaluation"; ours draws speakers instead of utterances, and takes the difference relative
        to the rate of b.

    >>> one = np.array([[2, 10], [0, 10]])
    >>> relative_difference([one], [one]).value
    0.0
    """
    random = np.random.default_rng(_SEED)
    drawn_a = drawn_b = np.zeros((NUM_DRAWS, 2))
    for split_a, split_b in zip(a, b, strict=True):
        chosen = random.integers(len(split_a), size=(NUM_DRAWS, len(split_a)))
        drawn_a = drawn_a + split_a[chosen].sum(axis=1)
        drawn_b = drawn_b + split_b[chosen].sum(axis=1)
    relative = _relative(drawn_a, drawn_b)
    outside = (1 - SHARE) / 2
    low, high = np.quantile(relative, [outside, 1 - outside])
    all_a = np.stack([split.sum(axis=0) for split in a]).sum(axis=0, keepdims=True)
    all_b = np.stack([split.sum(axis=0) for split in b]).sum(axis=0, keepdims=True)
    return Difference(float(_relative(all_a, all_b)[0]), float(low), float(high))


def _relative(a: NDArray[np.generic], b: NDArray[np.generic]) -> NDArray[np.float64]:
    """(draws, 2) of errors and words each -> (draws,) relative difference of the rates."""
    rate_a = a[:, 0] / np.maximum(a[:, 1], 1)
    rate_b = b[:, 0] / np.maximum(b[:, 1], 1)
    return (rate_a - rate_b) / np.maximum(rate_b, 1e-9)
