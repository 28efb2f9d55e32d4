"""What stands around an utterance in training: background, or another utterance behind it.

Recordings of corpora begin and end with speech; a microphone does not. A model that has heard
nothing but such recordings stops hearing words after a few seconds of background (docs/models.md).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from halfbyte.data.augment import AugmentConfig, Samples

NOBODY = -1
_PLAN = 1 << 62  # sets these draws apart from those of single utterances
_FLAT_BELOW_HZ = 50
_STEEPEST = 2.0  # power falls with frequency to this power: 0 is white, 2 brown


@dataclass(frozen=True)
class Surroundings:
    """What stands around every utterance of a corpus in one epoch; U of them.

    Attributes:
        before_s: (U,) seconds of background before it.
        after_s: (U,) behind it, or between it and the following utterance.
        following: (U,) int64, the utterance that is joined to it, or NOBODY.
    """

    before_s: NDArray[np.float64]
    after_s: NDArray[np.float64]
    following: NDArray[np.int64]

    def durations_s(self, utterances_s: NDArray[np.float64]) -> NDArray[np.float64]:
        """How long the utterances are with all that; (U,) seconds in and out."""
        joined = np.where(self.following == NOBODY, 0.0, utterances_s[self.following])
        return utterances_s + self.before_s + self.after_s + joined


def draw_surroundings(
    utterances_s: NDArray[np.float64], config: AugmentConfig, seed: int, epoch: int
) -> Surroundings:
    """The surroundings of an epoch, a function of seed and epoch alone.

    Args:
        utterances_s: (U,) durations; those up to `config.joined_longest_s` may be joined.
    """
    random = np.random.Generator(np.random.Philox(key=[seed, _PLAN | epoch]))
    count = len(utterances_s)
    has_background = random.random(count) < config.background_chance
    before_s = random.uniform(*config.background_before_s, count) * has_background
    after_s = random.uniform(*config.background_after_s, count)
    short = np.flatnonzero(utterances_s <= config.joined_longest_s)
    is_joined = (random.random(count) < config.joined_chance) & (
        utterances_s <= config.joined_longest_s
    )
    partner = random.choice(short, count) if len(short) else np.zeros(count, np.int64)
    following = np.where(is_joined, partner, NOBODY)
    return Surroundings(before_s, after_s * (has_background | is_joined), following)


def background(
    num_samples: int, rate_hz: int, level_db: float, random: np.random.Generator
) -> Samples:
    """Steady noise of a drawn colour, white to brown; (S,) float32.

    Args:
        level_db: of its power, against full scale.
    """
    size = max(2, num_samples)
    spectrum = np.fft.rfft(random.standard_normal(size))
    frequency = np.maximum(np.arange(len(spectrum)), size * _FLAT_BELOW_HZ / rate_hz)
    shaped = np.fft.irfft(spectrum * frequency ** (-random.uniform(0, _STEEPEST) / 2), size)
    shaped *= 10 ** (level_db / 20) / max(1e-12, float(np.sqrt(np.square(shaped).mean())))
    return shaped[:num_samples].astype(np.float32)
