"""The family from elsewhere: a run of its Python half, and the C library with its other half."""

from pathlib import Path

import pytest
from capi.c_library import BUILD, ROOT, Library, build, run
from toy.detector_run import write_config, write_tones

from halfbyte.cli import main
from halfbyte.export.onnx_model import compile_folder, export

TOY = ROOT / "build" / "toy"
SOURCE = Path(__file__).parent / "frame_detector.cc"


@pytest.fixture(scope="session")
def work(tmp_path_factory) -> Path:
    """A run of both stages, exported and compiled."""
    folder = write_tones(tmp_path_factory.mktemp("toy"))
    assert main(["train", str(write_config(folder)), "--run", str(folder / "run")]) == 0
    export(folder / "run" / "result", folder / "onnx")
    compile_folder(folder / "onnx", folder / "toy.hb")
    return folder


@pytest.fixture(scope="session")
def library() -> Library:
    """The C library with the foreign pipeline, on the engine that `make c` has built."""
    build()
    options = [
        *("-DHALFBYTE_PYTHON=OFF", "-DHALFBYTE_C=ON", "-DHALFBYTE_CHECKS=ON"),
        f"-DHALFBYTE_EXTRA_SOURCES={SOURCE}",
        f"-DHALFBYTE_ENGINE_LIBRARY={BUILD / 'libhalfbyte_core.a'}",
    ]
    run("cmake", "-S", ROOT, "-B", TOY, "-G", "Ninja", *options)
    run("cmake", "--build", TOY)
    return Library(TOY)
