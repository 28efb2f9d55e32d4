"""The model of the tests of this folder: it knows the words low, mid and high."""

import pytest
from paths import TONES

from halfbyte import Recognizer


@pytest.fixture(scope="session")
def recognizer() -> Recognizer:
    return Recognizer(TONES)
