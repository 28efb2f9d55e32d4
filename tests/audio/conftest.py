"""Speech clips and samples that the audio tests share."""

from __future__ import annotations

import wave
from array import array
from pathlib import Path

import numpy as np
import pytest

CLIPS = sorted((Path(__file__).parent.parent / "data").glob("*.wav"))


@pytest.fixture(params=CLIPS, ids=lambda path: path.stem)
def clip(request: pytest.FixtureRequest) -> array:
    """One real recording: (S,) float32 in [-1, 1) at 16 kHz."""
    with wave.open(str(request.param)) as file:
        codes = np.frombuffer(file.readframes(file.getnframes()), np.int16)
    return array("f", (codes / 32768.0).astype(np.float32).tolist())
