"""Settings of a model file that a stream follows, and those that a caller may change."""

import json
from typing import Any, Protocol

from halfbyte import _core

MODES = ("rescoring", "prefix_beam", "greedy", "attention")
FULL_CONTEXT_MS = 0


class ModelSettings(Protocol):
    """What the metadata of a U2 model file says about features, streaming and decoding."""

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
    tokens: list[str]
    blank_id: int
    boundary_id: int
    beam: int
    ctc_weight: float
    step_ms: int  # duration of an encoder step
    lookahead_ms: int  # audio after the end of a chunk that the chunk needs


def read_settings(metadata: dict[str, Any]) -> ModelSettings:
    """Settings from a model file's metadata.

    Raises:
        ModelFileError: a setting is missing, of the wrong kind or out of range.
    """
    settings: ModelSettings = _core.listen.read_settings(json.dumps(metadata))
    return settings
