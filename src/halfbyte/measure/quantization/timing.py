"""What an encoder chunk costs in each number format: a file of each, in turns, after the grid."""

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np

from halfbyte import _core
from halfbyte.engine import ModelFile
from halfbyte.listen.engine_model import EngineModel
from halfbyte.measure.code import code_name
from halfbyte.measure.cpu import machine
from halfbyte.measure.quantization.config import Bench
from halfbyte.measure.quantization.results import CHUNK_MS, Line, Results
from halfbyte.measure.spread import time_in_turns
from halfbyte.progress import progress_bar

_TURNS = 500


def time_formats(bench: Bench, results: Results, work: Path) -> Line | None:
    """Time every format that has a file in the work folder, if one of them has no time yet.

    Time depends on the format and not on method or seed, so a file of each is enough. They run in
    turns, so that other work on the machine falls on all alike.

    Args:
        work: folder of the whole benchmark, with the files of its cells.

    Returns:
        A result line: the median milliseconds of a chunk by number format, on one thread. None if
        there is nothing to time.
    """
    files = _file_of_each_format(bench, work)
    if not files.keys() - results.chunk_ms.keys():
        return None
    chunks = {name: _chunk(bench, ModelFile(path)) for name, path in files.items()}
    times = time_in_turns(chunks, progress_bar(range(_TURNS), "timing"))
    return {
        CHUNK_MS: {name: round(1000 * t.warm.median, 4) for name, t in times.items()},
        "load_average": os.getloadavg()[0],
        "isa": _core.kernels.default_isa(),
        "machine": machine(),
        "code": code_name(),
    }


def _file_of_each_format(bench: Bench, work: Path) -> dict[str, Path]:
    found: dict[str, Path] = {}
    for cell in bench.cells():
        path = work / cell.name / "model.hb"
        if path.exists():
            found.setdefault(cell.number_format, path)
    return found


def _chunk(bench: Bench, file: ModelFile) -> Callable[[], object]:
    """A call that encodes the next chunk of a stream."""
    model = EngineModel(file)
    settings = model.settings
    chunk_ms = bench.config.evaluation.chunk_ms or settings.chunk_steps * settings.step_ms
    frames = chunk_ms // settings.frame_shift_ms + settings.overlap_frames
    random = np.random.default_rng(1)
    features = random.normal(12.0, 3.0, (1, frames, settings.num_mel_bins)).astype(np.float32)
    state = model.initial_state("encoder")
    return lambda: model.run("encoder", {"features": features}, ["encoder_out"], state)
