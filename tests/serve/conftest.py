"""The model of the tests of this folder."""

import pytest

from halfbyte import Recognizer


@pytest.fixture(scope="session")
def recognizer() -> Recognizer:
    return Recognizer()
