"""What the device needs to know of a keyword spotter (docs/model-file.md)."""

from typing import Any

from halfbyte.families.family import Inputs
from halfbyte.families.keyword.model import KeywordSpotter

CHUNK_STEPS = 4  # 80 ms: a detection waits longer for its refractory time
MOST_CHUNK_STEPS = 50
MAX_SEGMENT_MS = 20000  # of no meaning here: a spotter knows no segments


def metadata(model: KeywordSpotter, inputs: Inputs) -> dict[str, Any]:
    """Streaming, keywords, and how scores become detections."""
    config = model.config
    return {
        "streaming": {
            "subsampling": config.frames_per_step,
            "overlap_frames": 0,
            "chunk_steps": CHUNK_STEPS,
            "chunk_choices_steps": list(range(1, MOST_CHUNK_STEPS + 1)),
            "left_context_steps": 0,
            "max_segment_ms": MAX_SEGMENT_MS,
        },
        "labels": model.keywords,
        "thresholds": [config.thresholds.get(k, config.threshold) for k in model.keywords],
        "smoothing_steps": config.smoothing_steps,
        "refractory_steps": max(1, config.refractory_ms // model.step_ms),
    }
