"""What an encoder file costs before and beside its arithmetic: size, start, memory, bytes moved."""

import json
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from halfbyte.measure import encoder_start
from halfbyte.measure.encoder_models import Shape, Subject

PROCESSES = 5


def file_figures(path: Path, subject: Subject, shape: Shape, isa: str) -> dict[str, Any]:
    """Medians over processes that know neither torch nor numpy; the file is in the disk cache.

    Returns:
        bytes: of the file.
        open_and_first_chunk_ms: from opening the file to the first output, processor time.
        process_ms: from the start of a process to its first output, wall clock.
        peak_rss_bytes: the largest resident memory of a process, Python included.
        interpreter_rss_bytes: of these, what Python held before the file was opened.
        beyond_file_bytes: of these, what exceeds the file, Python included.
    """
    frames = subject.num_frames(shape)
    command = [sys.executable, encoder_start.__file__]
    command += [str(path), str(frames), str(shape.left_context_steps), isa]
    processes = []
    for _ in range(PROCESSES):
        start_s = time.perf_counter()
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            process.stdout.readline()
            process_ms = 1e3 * (time.perf_counter() - start_s)
            processes.append(json.loads(process.stdout.readline()) | {"process_ms": process_ms})
    figures = {
        key: round(statistics.median(process[key] for process in processes), 2)
        for key in ("open_and_first_chunk_ms", "process_ms")
    }
    size = path.stat().st_size
    peaks = {
        key: max(process[key] for process in processes)
        for key in ("peak_rss_bytes", "interpreter_rss_bytes")
    }
    return {"bytes": size, **figures, **peaks, "beyond_file_bytes": peaks["peak_rss_bytes"] - size}


def energy_figures(multiply_adds: int, path: Path, shape: Shape) -> dict[str, float]:
    """What drains a battery, counted: a chunk reads every weight of the file once."""
    chunks_per_s = 1000 / shape.chunk_ms
    return {
        "multiply_adds_per_audio_s": multiply_adds * chunks_per_s,
        "bytes_per_audio_s": path.stat().st_size * chunks_per_s,
    }
