"""Settings of a model file that a stream follows."""

import json
from typing import Any, Protocol

from halfbyte import _core


class ModelSettings(Protocol):
    """What the metadata of a model file say about features, streaming and decoding."""

    family: str
    sample_rate_hz: int
    num_mel_bins: int
    frame_length_ms: int
    frame_shift_ms: int
    low_hz: float
    high_hz: float
    subsampling: int  # feature frames per encoder step
    overlap_frames: int  # feature frames that neighbouring chunks share
    chunk_steps: int  # encoder steps per chunk, unless the caller chooses
    chunk_choices_steps: list[int]
    left_context_steps: int
    max_segment_ms: int
    modes: list[str]  # ways to decode a final result; empty where there is nothing to choose
    labels: list[str]  # of what it detects; empty where it writes text
    thresholds: list[float]  # of their scores
    default_mode: str  # the first of them, or empty
    step_ms: int  # duration of an encoder step
    lookahead_ms: int  # audio after the end of a chunk that the chunk needs


def read_settings(metadata: dict[str, Any]) -> ModelSettings:
    """Settings from a model file's metadata.

    Raises:
        ModelFileError: a setting is missing, of the wrong kind or out of range, or the family is
            not one that this version knows.
    """
    settings: ModelSettings = _core.listen.read_settings(json.dumps(metadata))
    return settings


def families() -> list[str]:
    """Families of models that this build can listen with."""
    names: list[str] = _core.listen.families()
    return names
