"""Made-up sounds for tests of training data."""

from pathlib import Path

import numpy as np
import soundfile

from halfbyte.data.manifest import Utterance

RATE_HZ = 16000


def tone(hz: float, seconds: float, rate_hz: int = RATE_HZ) -> np.ndarray:
    """(S,) float32, a tone of amplitude 0.3."""
    time_s = np.arange(round(seconds * rate_hz)) / rate_hz
    return (0.3 * np.sin(2 * np.pi * hz * time_s)).astype(np.float32)


def noise(seconds: float, seed: int = 0) -> np.ndarray:
    """(S,) float32, white noise of deviation 0.1."""
    random = np.random.default_rng(seed)
    return (0.1 * random.standard_normal(round(seconds * RATE_HZ))).astype(np.float32)


def loudest_hz(samples: np.ndarray, rate_hz: int = RATE_HZ) -> float:
    """Frequency of the largest peak of the spectrum."""
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples))))
    return float(np.argmax(spectrum) * rate_hz / len(samples))


def write_utterances(folder: Path, sounds: list[np.ndarray]) -> list[Utterance]:
    """Write sounds as WAV files; returns their utterances, each called by its number."""
    utterances = []
    for i, samples in enumerate(sounds):
        path = folder / f"{i}.wav"
        soundfile.write(path, samples, RATE_HZ)
        utterances.append(Utterance(str(i), path, f"word {i}", len(samples) / RATE_HZ, "s"))
    return utterances
