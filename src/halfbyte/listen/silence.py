"""Digital silence: audio in which nobody can have spoken, so no word may come out of it."""

from array import array
from typing import Any

from halfbyte import _core

# Largest log-mel energy of a frame of digital silence. White noise of one 16-bit step, the loudest
# that dither leaves, reached 10.0 in ten minutes of it; the softest frame of the recordings in
# tests/data has 10.4, and speech 20 to 25.
LOUDEST_SILENCE = 10.0
_IMPOSSIBLE = -1e4  # log-probability; finite, so that sums of it stay numbers


def num_silent_steps(features: Any, subsampling: int, overlap_frames: int, num_steps: int) -> int:
    """Encoder steps at the start of a window whose frames are all digital silence.

    Args:
        features: (T, F) float32 log-mel energies of samples in the range of int16.
        subsampling: feature frames per encoder step.
        overlap_frames: frames that a step reads beyond its own.
        num_steps: encoder steps of the window.
    """
    rows: Any = memoryview(features)
    num_frames, num_bins = rows.shape
    energies = rows.cast("B").cast("f")
    for t in range(num_frames):
        if max(energies[t * num_bins : (t + 1) * num_bins]) > LOUDEST_SILENCE:
            return max(0, (t - overlap_frames) // subsampling)
    return num_steps


def is_silence(features: Any) -> bool:
    """Whether all frames of a window (T, F) are digital silence."""
    return _core.audio.largest(features) <= LOUDEST_SILENCE


def only_blank(log_probs: Any, num_steps: int, blank_id: int) -> Any:
    """Log-probabilities (C, V) with the first `num_steps` steps certain to be blank."""
    rows: Any = memoryview(log_probs)
    if num_steps == 0:
        return rows
    num_tokens = rows.shape[1]
    silent = array("f", [_IMPOSSIBLE]) * num_tokens
    silent[blank_id] = 0.0
    silent *= num_steps
    silent.frombytes(rows.cast("B")[num_steps * num_tokens * silent.itemsize :])
    return memoryview(silent).cast("B").cast("f", rows.shape)
