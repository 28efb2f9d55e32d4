"""Audio files as samples, for training and evaluation."""

import os

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray

from halfbyte.errors import AudioError


def read_audio(path: str | os.PathLike[str], sample_rate_hz: int) -> NDArray[np.float32]:
    """Read any file that libsndfile reads (wav, flac, ogg, opus, mp3) as one channel.

    Channels are averaged; another rate is resampled with soxr.

    Returns:
        (S,) float32, in -1..1 at `sample_rate_hz`.

    Raises:
        AudioError: missing, empty, not audio, or with NaN or infinite samples.
    """
    try:
        samples, rate_hz = soundfile.read(path, dtype="float32", always_2d=True)
    except (OSError, soundfile.LibsndfileError) as error:
        raise AudioError(f"cannot read audio {path}: {error}") from error
    mono = samples.mean(axis=1)
    if not np.isfinite(mono).all():
        raise AudioError(f"audio {path} holds NaN or infinite samples")
    if rate_hz != sample_rate_hz and mono.size:
        mono = soxr.resample(mono, rate_hz, sample_rate_hz)
    if mono.size == 0:
        raise AudioError(f"audio {path} holds no samples")
    return mono
