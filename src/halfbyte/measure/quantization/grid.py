"""The cells of a grid, a process each; interrupted, the same command goes on."""

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from functools import partial
from pathlib import Path

from halfbyte.errors import HalfbyteError
from halfbyte.measure.quantization.config import Bench, Cell
from halfbyte.measure.quantization.results import Line, keep, read_results

_KEEPING = threading.Lock()  # of the result file


class GridError(HalfbyteError):
    """A cell that failed."""


def run_grid(
    bench: Bench, work: Path, command: list[str], workers: int = 1
) -> Iterator[tuple[Cell, Line]]:
    """Run the cells that have no result yet; each line is kept as soon as it is there.

    Args:
        work: folder of checkpoints and logs.
        command: what runs one cell, given its name as the last word, and prints its line.
        workers: cells at once; none runs beside one that it needs.

    Yields:
        Cell and line, in the order in which they end.

    Raises:
        ConfigError: there are results of another configuration.
        GridError: a cell failed; its log has the rest. Those beside it run to their end first.
    """
    done = read_results(bench).cells
    waiting = [cell for cell in bench.cells() if cell not in done]
    running: dict[Future[Line], Cell] = {}
    failures: list[str] = []
    run = partial(_run_and_keep, bench, work, command, workers)
    with ThreadPoolExecutor(workers) as pool:
        while waiting or running:
            for cell in _ready(bench, waiting, list(running.values()))[: workers - len(running)]:
                waiting.remove(cell)
                running[pool.submit(run, cell)] = cell
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                cell = running.pop(future)
                try:
                    yield cell, future.result()
                except GridError as error:
                    failures.append(str(error))
                    waiting = []
    if failures:
        raise GridError("; ".join(failures))


def _ready(bench: Bench, waiting: list[Cell], running: list[Cell]) -> list[Cell]:
    """Cells that need none that is still to come."""
    missing = {*waiting, *running}
    return [cell for cell in waiting if not missing.intersection(bench.sources(cell))]


def _run_and_keep(bench: Bench, work: Path, command: list[str], workers: int, cell: Cell) -> Line:
    line = _run(cell, work, command, workers) | {"workers": workers}
    with _KEEPING:
        keep(bench, line)
    return line


def _run(cell: Cell, work: Path, command: list[str], workers: int) -> Line:
    folder = work / cell.name
    folder.mkdir(parents=True, exist_ok=True)
    log = folder / "log.txt"
    start_s = time.monotonic()
    threads = {"OMP_NUM_THREADS": str(max(1, (os.cpu_count() or 1) // workers))}
    environment = dict(os.environ) if workers == 1 else threads | os.environ
    with log.open("ab") as errors:
        process = subprocess.run(
            [*command, cell.name],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=errors,
            check=False,
        )
    lines = process.stdout.decode(errors="replace").strip().splitlines()
    if process.returncode or not lines:
        said = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
        raise GridError(f"cell {cell.name} failed: {said[-1] if said else 'no word'}; see {log}")
    line: Line = json.loads(lines[-1])
    return line | {"seconds": round(time.monotonic() - start_s, 1)}


def cell_command(config: Path, work: Path) -> list[str]:
    """The command that runs one cell in a process of its own."""
    program = [sys.executable, "-m", "halfbyte", "bench", "quantization", str(config)]
    return [*program, "--work", str(work), "--cell"]
