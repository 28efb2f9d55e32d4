"""Distillation under masks: a streaming encoder learns to say what the full-context one says.

    loss = mean over steps of (student - teacher)², both after the last norm,

where the student sees chunks and a bounded left context and the teacher the whole clip. No texts
are needed. The student hears what the device hears (features with a fixed floor, surroundings,
another loudness); the teacher hears the clean clip as Whisper was trained to.

Source: the loss of FitNets' hints (Romero et al. 2015, arXiv:1412.6550) on the last layer.
"""

import math
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from halfbyte.blocks.masks import FULL_CONTEXT
from halfbyte.blocks.whisper import WhisperEncoder
from halfbyte.data.fbank import FeatureConfig, log_mel

Samples = NDArray[np.float32]

STUDENTS_FEATURES = FeatureConfig(low_hz=0, definition="whisper")
CHUNKS = (8, 16, 32, FULL_CONTEXT)  # encoder steps: 0.32, 0.64, 1.28 s, the whole clip
_CHANCES = (0.3, 0.3, 0.25, 0.15)
_LENGTH, _SHIFT = 400, 160  # samples of a frame, and from one to the next
_TEACHERS_SILENCE = 32000  # samples behind the clip that only the teacher hears
_RANGE = 8.0 * math.log(10.0)  # below the loudest bin of a clip Whisper hears nothing
_LEAST_ENERGY = 1e-10  # Whisper's floor


def slaney_filters(num_bins: int, fft_size: int) -> Tensor:
    """Slaney's mel triangles of unit area at 16 kHz.

    Returns:
        (F, fft_size / 2 + 1) float32.
    """
    edges = _slaney_hz(np.linspace(0, 15 + np.log(8) / (np.log(6.4) / 27), num_bins + 2))
    hz = np.fft.rfftfreq(fft_size, 1 / 16000)
    left, centre, right = edges[:-2, None], edges[1:-1, None], edges[2:, None]
    rise, fall = (hz - left) / (centre - left), (right - hz) / (right - centre)
    height = 2 / (right - left)
    return torch.tensor(np.maximum(0, np.minimum(rise, fall)) * height, dtype=torch.float32)


def _slaney_hz(mel: NDArray[np.float64]) -> NDArray[np.float64]:
    linear, logarithmic = mel * 200 / 3, 1000 * np.exp(np.log(6.4) / 27 * (mel - 15))
    return np.where(mel < 15, linear, logarithmic)


class WhisperFeatures:
    """Natural logarithms of mel energies as Whisper computes them, without its limits.

    The device's (`definition: whisper`, docs/features.md) are of a transform of 512 points.
    """

    def __init__(self, num_bins: int = 80):
        self._filters = slaney_filters(num_bins, _LENGTH)
        self._window = torch.hann_window(_LENGTH)

    def __call__(self, samples: Samples) -> Tensor:
        """samples: (S,) float32 in [-1, 1) -> (T, F) float32."""
        frames = torch.from_numpy(samples).unfold(0, _LENGTH, _SHIFT) * self._window
        power = torch.fft.rfft(frames).abs().square()
        return (power @ self._filters.T).clamp_min(_LEAST_ENERGY).log()


@dataclass(frozen=True)
class Lesson:
    """A padded batch: what student and teacher hear.

    Attributes:
        heard: (B, T, F) float32, the student's features.
        num_frames: (B,) int64.
        clean: (B, T', F) float32, the teacher's, T' >= T.
        num_clean: (B,) int64.
    """

    heard: Tensor
    num_frames: Tensor
    clean: Tensor
    num_clean: Tensor


class Teacher:
    """The untouched encoder: full context, its own features, silence behind every clip."""

    def __init__(self, encoder: WhisperEncoder):
        self._encoder = encoder.eval().requires_grad_(False)
        self._features = WhisperFeatures()

    def hear(self, samples: Samples) -> Tensor:
        """(S,) float32 -> (T', F) float32, nothing below the clip's loudest bin minus its range."""
        features = self._features(np.pad(samples, (0, _TEACHERS_SILENCE)))
        return features.clamp_min(float(features.max()) - _RANGE)

    def say(self, lesson: Lesson) -> Tensor:
        """(B, steps, 2·D) float32 for every step that the student has."""
        steps = int(self._encoder.subsampling.num_steps(lesson.num_frames).max())
        with torch.no_grad():
            said, _ = self._encoder(lesson.clean, lesson.num_clean)
        return said[:, :steps]


def lesson(clips: list[tuple[Samples, Samples]], teacher: Teacher) -> Lesson:
    """Clips as (what the student hears, what is clean), of the same length each, as a batch."""
    heard = [log_mel(noisy, STUDENTS_FEATURES) for noisy, _ in clips]
    clean = [teacher.hear(samples) for _, samples in clips]
    return Lesson(*_padded(heard), *_padded(clean))


def _padded(features: list[Tensor]) -> tuple[Tensor, Tensor]:
    num_frames = torch.tensor([len(f) for f in features])
    return torch.nn.utils.rnn.pad_sequence(features, batch_first=True), num_frames


def draw_chunk(random: np.random.Generator) -> int:
    """A chunk length of CHUNKS."""
    return int(random.choice(CHUNKS, p=_CHANCES))


def masked_loss(student: WhisperEncoder, said: Tensor, lesson: Lesson, chunk_steps: int) -> Tensor:
    """Squared error of the student's outputs, mean over steps and channels; a scalar.

    Args:
        said: (B, steps, 2·D) float32, the teacher's.
        chunk_steps: encoder steps of a chunk, or FULL_CONTEXT.
    """
    mine, num_steps = student(lesson.heard, lesson.num_frames, chunk_steps)
    is_step = (torch.arange(mine.shape[1]) < num_steps[:, None]).unsqueeze(2)
    errors = (mine.float() - said[:, : mine.shape[1]]).square() * is_step
    return errors.sum() / (is_step.sum() * mine.shape[2])
