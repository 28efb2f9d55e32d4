"""Augmentation: a function of seed, epoch and utterance, so that runs resume exactly.

What stands around an utterance is one of seed, epoch and the whole corpus (surroundings.py).
"""

import math
from dataclasses import dataclass

import numpy as np
import soxr
from numpy.typing import NDArray
from torch import Tensor

from halfbyte.errors import ConfigError

Samples = NDArray[np.float32]


@dataclass
class AugmentConfig:
    """How training audio is varied."""

    speeds: tuple[float, ...] = (0.9, 1.0, 1.1)
    noise_chance: float = 0.5
    noise_snr_db: tuple[float, float] = (5.0, 30.0)
    room_chance: float = 0.2
    room_decay_s: tuple[float, float] = (0.1, 0.5)  # time to fall by 60 dB
    gain_db: tuple[float, float] = (-12.0, 6.0)
    background_chance: float = 0.0  # of steady noise before and after (data/surroundings.py)
    background_before_s: tuple[float, float] = (0.0, 6.0)
    background_after_s: tuple[float, float] = (0.0, 1.5)
    background_db: tuple[float, float] = (-75.0, -40.0)  # against full scale
    joined_chance: float = 0.0  # of another utterance behind it
    joined_longest_s: float = 4.0  # longer ones are not joined

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if name.endswith("_chance") and not 0 <= value <= 1:
                raise ConfigError(f"augment.{name} is {value}; expected a share, 0 to 1")
            if name.endswith(("_db", "_s")) and isinstance(value, tuple | list):
                low, high = value
                least = 0.0 if name.endswith("_s") else -math.inf
                if not least <= low <= high < math.inf or low == -math.inf:
                    raise ConfigError(
                        f"augment.{name} is {list(value)}; expected the least and the greatest"
                        + (", 0 or more" if least == 0 else "")
                    )

    frequency_masks: int = 2
    frequency_mask_bins: int = 20
    time_masks: int = 2
    time_mask_frames: int = 30
    time_mask_share: float = 0.15  # of an utterance, at most, per mask


def generator_for(seed: int, epoch: int, utterance: int) -> np.random.Generator:
    """The random numbers of one utterance in one epoch."""
    return np.random.Generator(np.random.Philox(key=[seed, epoch << 32 | utterance]))


def change_voice(
    samples: Samples, rate_hz: int, config: AugmentConfig, random: np.random.Generator
) -> Samples:
    """Change the speed of an utterance and put it into a room; (S,) -> (S',) float32.

    Speed resamples, so pitch moves with it (Ko et al. 2015).
    """
    speed = float(random.choice(config.speeds))
    if speed != 1.0:
        samples = soxr.resample(samples, speed, 1.0, quality="MQ")
    if random.random() < config.room_chance:
        num_tail = int(rate_hz * random.uniform(*config.room_decay_s))
        samples = _reverberate(samples, num_tail, random)
    return samples


def change_scene(
    samples: Samples,
    noises: list[Samples],
    config: AugmentConfig,
    random: np.random.Generator,
    speech: slice = slice(None),
) -> Samples:
    """Add noise and change the level; (S,) float32 in and out.

    Noise is a stretch of one of `noises` over everything, at a drawn ratio to the power of
    `speech`.
    """
    if noises and random.random() < config.noise_chance:
        noise = noises[random.integers(len(noises))]
        power = float(np.square(samples[speech]).mean())
        samples = _add_noise(samples, noise, power, random.uniform(*config.noise_snr_db), random)
    gain = 10 ** (random.uniform(*config.gain_db) / 20)
    peak = float(np.abs(samples).max(initial=1e-9))
    return (samples * min(gain, 1.0 / peak)).astype(np.float32)


def mask_features(features: Tensor, config: AugmentConfig, random: np.random.Generator) -> None:
    """SpecAugment in place: stretches of bins and frames become the utterance's mean.

    features: (T, F) float32. Source: Park et al. 2019 (arXiv:1904.08779), without warping.
    """
    num_frames, num_bins = features.shape
    mean = features.mean()
    for _ in range(config.frequency_masks):
        width = int(random.integers(min(config.frequency_mask_bins, num_bins) + 1))
        start = int(random.integers(num_bins - width + 1))
        features[:, start : start + width] = mean
    longest = min(config.time_mask_frames, int(num_frames * config.time_mask_share))
    for _ in range(config.time_masks):
        width = int(random.integers(longest + 1))
        start = int(random.integers(num_frames - width + 1))
        features[start : start + width] = mean


def _reverberate(samples: Samples, num_tail: int, random: np.random.Generator) -> Samples:
    """Convolve with a direct path and a tail of noise that falls by 60 dB in so many samples."""
    tail = random.standard_normal(num_tail) * 10 ** (-3 * np.arange(num_tail) / num_tail)
    tail *= random.uniform(0.1, 0.6) / np.sqrt(np.square(tail).sum())
    tail[0] = 1.0
    size = 1 << (len(samples) + num_tail - 2).bit_length()
    wet = np.fft.irfft(np.fft.rfft(samples, size) * np.fft.rfft(tail, size), size)
    return wet[: len(samples)].astype(np.float32)


def _add_noise(
    samples: Samples,
    noise: Samples,
    signal_power: float,
    snr_db: float,
    random: np.random.Generator,
) -> Samples:
    start = int(random.integers(len(noise)))
    stretch = np.resize(np.roll(noise, -start), len(samples))
    noise_power = float(np.square(stretch).mean())
    if noise_power == 0 or signal_power == 0:
        return samples
    scale = np.sqrt(signal_power / noise_power * 10 ** (-snr_db / 10))
    return samples + np.float32(scale) * stretch
