"""Recordings of made-up words, each a tone, with pauses between them."""

import numpy as np
from numpy.typing import NDArray
from train.corpus import RATE_HZ, WORDS, tone

LEAD_S = 0.3
WORD_S = 0.5
NOISE = 0.01  # standard deviation of the noise that is everywhere


def silence(seconds: float, random: np.random.Generator) -> NDArray[np.float32]:
    """(S,) float32 of nothing but noise."""
    return (NOISE * random.standard_normal(int(seconds * RATE_HZ))).astype(np.float32)


def recording(words: str, pause_s: float = 0.0, seed: int = 1) -> NDArray[np.float32]:
    """(S,) float32 at RATE_HZ: LEAD_S of silence, then each word with a pause after it.

    A word takes WORD_S, the middle 0.4 s of which are its tone.
    """
    random = np.random.default_rng(seed)
    parts = [silence(LEAD_S, random)]
    for word in words.split():
        parts += [tone(WORDS[word], random).astype(np.float32), silence(pause_s, random)]
    return np.concatenate(parts)
