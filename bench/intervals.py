"""Confidence intervals of word error rates."""

import random
from collections.abc import Sequence

NUM_DRAWS = 1000
_SEED = 1


def wer_interval(speakers: Sequence[tuple[int, int]], share: float = 0.95) -> tuple[float, float]:
    """Interval of the word error rate from drawing speakers anew, with replacement.

    Utterances of a speaker are not independent, speakers are: so whole speakers are drawn.

    Args:
        speakers: errors and words of each.
        share: of the draws that lie within.

    Returns:
        Lower and upper bound; (0, 0) without speakers.

    Source: Bisani and Ney 2004, "Bootstrap estimates for confidence intervals in ASR performance
        evaluation"; ours draws speakers instead of utterances.
    """
    if not speakers:
        return 0.0, 0.0
    chance = random.Random(_SEED)
    rates = []
    for _ in range(NUM_DRAWS):
        drawn = chance.choices(speakers, k=len(speakers))
        errors, words = (sum(column) for column in zip(*drawn, strict=True))
        rates.append(errors / max(1, words))
    rates.sort()
    outside = int(NUM_DRAWS * (1 - share) / 2)
    return rates[outside], rates[-outside - 1]
