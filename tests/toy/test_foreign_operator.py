"""An operator from elsewhere: one Python file, one C++ file; exported, compiled and run."""

import sys
from pathlib import Path

import pytest
from capi.c_library import BUILD, ROOT, build, run

TOY = ROOT / "build" / "toy-python"
SOURCE = Path(__file__).parent / "squared_relu.cc"
SCRIPT = Path(__file__).parent / "run_squared_relu.py"


@pytest.fixture(scope="module")
def core() -> Path:
    """The Python module with the foreign operator, on the engine that `make c` has built."""
    build()
    options = [
        f"-DPython_EXECUTABLE={sys.executable}",
        "-DCMAKE_BUILD_TYPE=Debug",  # of the bindings, which compile in half the time
        f"-DHALFBYTE_EXTRA_SOURCES={SOURCE}",
        f"-DHALFBYTE_ENGINE_LIBRARY={BUILD / 'libhalfbyte_core.a'}",
    ]
    run("cmake", "-S", ROOT, "-B", TOY, "-G", "Ninja", *options)
    run("cmake", "--build", TOY, "--target", "_core")
    return next(TOY.glob("_core.*"))


def test_every_runner_gives_the_bits_of_the_reference(core, tmp_path):
    run(sys.executable, SCRIPT, core, tmp_path / "m.hb")
