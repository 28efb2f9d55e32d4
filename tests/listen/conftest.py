"""The model of the tests of this folder: it knows the words low, mid and high."""

from pathlib import Path

import pytest

from halfbyte import Recognizer

TONES = Path(__file__).parents[1] / "golden" / "tones.hb"


@pytest.fixture(scope="session")
def recognizer() -> Recognizer:
    return Recognizer(TONES)
