"""Log-mel filterbank for training: the engine's own (docs/features.md)."""

import dataclasses
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from halfbyte import _core

_LEAST_FRAMES = 40  # more than any subsampling takes for its first step


@dataclass
class FeatureConfig:
    """Log-mel settings; docs/features.md."""

    sample_rate_hz: int = 16000
    num_mel_bins: int = 80
    frame_length_ms: int = 25
    frame_shift_ms: int = 10
    low_hz: int = 20
    high_hz: int = 0  # 0: half the sample rate
    definition: str = "kaldi"  # or whisper

    @property
    def frame_length_samples(self) -> int:
        """Samples of a frame."""
        return self.sample_rate_hz * self.frame_length_ms // 1000

    @property
    def frame_shift_samples(self) -> int:
        """Samples from the start of a frame to the start of the next."""
        return self.sample_rate_hz * self.frame_shift_ms // 1000


def log_mel(samples: NDArray[np.float32], config: FeatureConfig) -> Tensor:
    """The features of a whole recording, with the bits that the engine gives on a device.

    Args:
        samples: (S,) float32 in [-1, 1).

    Returns:
        (T, F) float32.

    Raises:
        AudioError: a sample is NaN or infinite.
    """
    fbank = _core.audio.Fbank(*dataclasses.astuple(config))
    fbank.accept(np.ascontiguousarray(samples))
    fbank.finish()
    return torch.from_numpy(np.asarray(fbank.peek(fbank.num_frames_ready)))


def long_enough(samples: NDArray[np.float32], config: FeatureConfig) -> NDArray[np.float32]:
    """The samples, with silence behind a clip that is too short for a model; (S,) float32."""
    return np.pad(samples, (0, max(0, _least_samples(config) - len(samples))))


def num_frames(num_samples: int, config: FeatureConfig) -> int:
    """Frames of a recording of so many samples, once it is long enough."""
    heard = max(num_samples, _least_samples(config)) - config.frame_length_samples
    return 1 + heard // config.frame_shift_samples


def _least_samples(config: FeatureConfig) -> int:
    return config.frame_length_samples + _LEAST_FRAMES * config.frame_shift_samples
