"""The model file that comes with the package, for tests of the engine alone."""

from pathlib import Path

import pytest

import halfbyte
from halfbyte.engine import ModelFile


@pytest.fixture(scope="session")
def shipped():
    return ModelFile(Path(halfbyte.__file__).parent / "assets" / "en-voice.hb")
