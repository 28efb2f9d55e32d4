"""Audio files as samples, for training and evaluation."""

import os

import numpy as np
import soxr
from numpy.typing import NDArray

from halfbyte.audio_file import AudioFile
from halfbyte.data.manifest import Utterance, is_duration
from halfbyte.errors import AudioError


def read_audio(path: str | os.PathLike[str], sample_rate_hz: int) -> NDArray[np.float32]:
    """Read any file that `AudioFile` reads as one channel.

    Channels are averaged; another rate is resampled with soxr.

    Returns:
        (S,) float32, in -1..1 at `sample_rate_hz`.

    Raises:
        AudioError: missing, empty, not audio, or with NaN or infinite samples.
    """
    return _read(AudioFile(path), sample_rate_hz)


def read_utterance(utterance: Utterance, sample_rate_hz: int) -> NDArray[np.float32]:
    """Read the recording of an utterance, in its channel; it must be as long as its manifest says.

    Batches are made by what manifests say, so that a longer recording would need any memory.

    Raises:
        AudioError: as `read_audio`; or the duration is wrong.
    """
    file = AudioFile(utterance.audio_path, utterance.channel)
    if file.num_samples is not None:
        check_duration(utterance, file.num_samples / file.sample_rate_hz)
    samples = _read(file, sample_rate_hz)
    check_duration(utterance, len(samples) / sample_rate_hz)
    return samples


def check_duration(utterance: Utterance, measured_s: float) -> None:
    """Raise AudioError where a recording is not as long as its manifest says."""
    if not is_duration(utterance.duration_s, measured_s):
        raise AudioError(
            f"audio {utterance.audio_path} is {measured_s:.2f} s long, and its manifest says "
            f"{utterance.duration_s:.2f} s; `halfbyte prepare MANIFEST -o DIR` measures durations"
        )


def _read(file: AudioFile, sample_rate_hz: int) -> NDArray[np.float32]:
    blocks = [np.asarray(block) for block in file]
    mono = np.concatenate(blocks) if blocks else np.empty(0, np.float32)
    if not np.isfinite(mono).all():
        raise AudioError(f"audio {file.path} holds NaN or infinite samples")
    if file.sample_rate_hz != sample_rate_hz and mono.size:
        mono = soxr.resample(mono, file.sample_rate_hz, sample_rate_hz)
    if mono.size == 0:
        raise AudioError(f"audio {file.path} holds no samples")
    return mono
