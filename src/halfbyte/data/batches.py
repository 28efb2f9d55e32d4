"""Batches of similar length, drawn anew each epoch from seed and epoch alone."""

import math

import numpy as np


def draw_batches(
    durations_s: list[float],
    batch_s: float,
    seed: int,
    epoch: int,
    short_first: bool = False,
    jitter: float = 0.1,
) -> list[list[int]]:
    """Bucket utterances by length into batches of bounded padded length, in random order.

    Utterances are sorted by duration after a random stretch of up to `jitter`, so that
    neighbours change from epoch to epoch, and cut where the longest times the number would
    pass `batch_s`.

    Args:
        durations_s: of every utterance; infinite for one that is left out.
        batch_s: padded seconds of audio in a batch, at most; a longer utterance stands alone.
        short_first: from short to long instead of in random order, which is easier on the CTC
            loss of a fresh model (Amodei et al. 2016, Deep Speech 2, arXiv:1512.02595).

    Returns:
        Utterance numbers, batch by batch; each that is not left out once.
    """
    random = np.random.Generator(np.random.Philox(key=[seed, epoch]))
    stretched = np.asarray(durations_s) * random.uniform(1, 1 + jitter, len(durations_s))
    batches: list[list[int]] = [[]]
    longest_s = 0.0
    order = np.argsort(stretched, kind="stable").tolist()
    for i in (i for i in order if durations_s[i] < math.inf):
        longest_s = max(longest_s, durations_s[i])
        if batches[-1] and longest_s * (len(batches[-1]) + 1) > batch_s:
            batches.append([])
            longest_s = durations_s[i]
        batches[-1].append(i)
    if not batches[-1]:
        return []
    return batches if short_first else [batches[i] for i in random.permutation(len(batches))]
