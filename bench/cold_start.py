"""From the start of a process to the first words; the size of an installation."""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
import wave
from pathlib import Path
from typing import Any

START_S = 3
RECORDING = (
    Path(__file__).resolve().parent.parent / "tests" / "data" / "librispeech_19-198-0000.wav"
)


def three_seconds(path: Path) -> Path:
    """Write a WAV of three seconds: a recording, and its beginning again."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with wave.open(str(RECORDING)) as source, wave.open(str(path), "wb") as target:
        samples = source.readframes(source.getnframes())
        target.setparams(source.getparams())
        num_bytes = START_S * source.getframerate() * source.getsampwidth()
        target.writeframes((samples * START_S)[:num_bytes])
    return path


def measure_start(model: Path, audio: Path, repeat: int) -> dict[str, Any]:
    """Medians over processes of `halfbyte transcribe --stream` on a file of three seconds.

    Returns:
        first_word_s: from the start of the process to the first line it prints; with a model that
            hears nothing, to its end.
        end_s: to its end.
        peak_rss_bytes: its largest resident memory.
    """
    command = [sys.executable, "-m", "halfbyte", "transcribe", "--stream", "--model", str(model)]
    command.append(str(three_seconds(audio)))
    first_words, ends, peaks = [], [], []
    for _ in range(repeat):
        start_s = time.perf_counter()
        with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            process.stdout.readline()
            first_words.append(time.perf_counter() - start_s)
            process.stdout.read()
            _, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            raise SystemExit(f"{' '.join(command)} ended with status {process.returncode}")
        ends.append(time.perf_counter() - start_s)
        peaks.append(usage.ru_maxrss * 1024)
    return {
        "first_word_s": round(statistics.median(first_words), 4),
        "end_s": round(statistics.median(ends), 4),
        "peak_rss_bytes": max(peaks),
    }


def start_figures(model: Path, audio: Path, repeat: int) -> dict[str, Any]:
    """`measure_start` in a process of its own.

    Linux counts what a process held before it became another program as that program's memory, so
    whoever starts the measured program must be small.
    """
    command = [sys.executable, __file__, str(model), str(audio), str(repeat)]
    printed = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    figures: dict[str, Any] = json.loads(printed)
    return figures


def installed_bytes(source: Path, build: Path) -> dict[str, int]:
    """Disk space of the base package in a fresh environment, in whole blocks as du counts.

    Everything that installing adds counts: the package, its model, scripts and records.
    """
    build.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=build) as folder:
        python = Path(folder) / "venv" / "bin" / "python"
        subprocess.run([sys.executable, "-m", "venv", python.parent.parent], check=True)
        before = _disk_bytes(python.parent.parent)
        command = [str(python), "-m", "pip", "install", "--quiet", "--no-compile", str(source)]
        subprocess.run(command, check=True)
        package = next(python.parent.parent.glob("lib/python*/site-packages/halfbyte"))
        return {
            "all": _disk_bytes(python.parent.parent) - before,
            "core": (next(package.glob("_core*"))).stat().st_size,
            "assets": _disk_bytes(package / "assets") if (package / "assets").exists() else 0,
        }


def _disk_bytes(folder: Path) -> int:
    return sum(path.lstat().st_blocks * 512 for path in folder.rglob("*"))


if __name__ == "__main__":
    print(json.dumps(measure_start(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]))))
