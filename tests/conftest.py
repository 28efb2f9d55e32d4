"""Paths and settings of all tests."""

import sys
from pathlib import Path

import pytest
from hypothesis import settings

TESTS = Path(__file__).parent
sys.path[:0] = [str(TESTS), str(TESTS / "engine")]  # tests/engine: the graph builders

# The same examples every time, and no clock: a loaded machine fails no test.
settings.register_profile("house", deadline=None, derandomize=True, database=None)
settings.load_profile("house")


@pytest.fixture
def halfbyte(capfd):
    """Calls `halfbyte WORDS…` in this process."""
    from verbs import calling

    return calling(capfd)


@pytest.fixture(scope="session")
def mixed(tmp_path_factory):
    """The model of tests/golden/tones-mixed, exported: WeNet's attention, all number formats."""
    from export.models import export_checkpoint

    return export_checkpoint(TESTS / "golden" / "tones-mixed", tmp_path_factory.mktemp("mixed"))


@pytest.fixture(scope="session")
def voice(tmp_path_factory):
    """A random model of the size of recipes/en-voice, exported."""
    from export.models import export_checkpoint, write_voice_checkpoint

    folder = tmp_path_factory.mktemp("voice")
    return export_checkpoint(write_voice_checkpoint(folder / "checkpoint"), folder)
