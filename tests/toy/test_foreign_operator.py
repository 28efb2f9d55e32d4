"""An operator from elsewhere: one Python file, one C++ file; exported, compiled and run."""

import subprocess
import sys
from pathlib import Path

import pytest
from paths import ROOT

BUILD = ROOT / "build" / "toy-python"
SOURCE = Path(__file__).parent / "squared_relu.cc"
SCRIPT = Path(__file__).parent / "run_squared_relu.py"


@pytest.fixture(scope="module")
def core() -> Path:
    """The compiled core with the foreign operator."""
    options = [f"-DPython_EXECUTABLE={sys.executable}", f"-DHALFBYTE_EXTRA_SOURCES={SOURCE}"]
    for words in (["-S", ROOT, "-B", BUILD, "-G", "Ninja", *options], ["--build", BUILD]):
        done = subprocess.run(["cmake", *words], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
    return next(BUILD.glob("_core.*"))


def test_every_runner_gives_the_bits_of_the_reference(core, tmp_path):
    command = [sys.executable, SCRIPT, core, tmp_path / "m.hb"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
