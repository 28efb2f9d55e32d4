"""A recording for the model of tones."""

from pathlib import Path

import pytest
import soundfile
from tones import recording


@pytest.fixture(scope="session")
def talk(tmp_path_factory) -> Path:
    """A recording of "low high mid" with a long pause after each word."""
    path = tmp_path_factory.mktemp("audio") / "talk.wav"
    soundfile.write(path, recording("low high mid", pause_s=1.5), 16000)
    return path
