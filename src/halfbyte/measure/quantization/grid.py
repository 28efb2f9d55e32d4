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
from typing import Any

from halfbyte.errors import ConfigError, HalfbyteError, UsageError
from halfbyte.measure.quantization.config import Bench, Cell, first_change

Line = dict[str, Any]
_KEEPING = threading.Lock()  # of the result file
CONFIGURATION = "configuration"  # key of the first line of a result file


class GridError(HalfbyteError):
    """A cell that failed."""


def read_results(bench: Bench) -> dict[Cell, Line]:
    """Result lines by cell, of a file that belongs to this configuration.

    Raises:
        ConfigError: the configuration is not the one that the lines were measured with.
        UsageError: a line is no result of a benchmark.
    """
    if not bench.results.exists():
        return {}
    found: dict[Cell, Line] = {}
    for number, text in enumerate(bench.results.read_text(encoding="utf-8").splitlines(), 1):
        try:
            line = json.loads(text)
            if CONFIGURATION in line:
                _check_configuration(bench, line[CONFIGURATION])
            else:
                found[Cell(line["method"], line["number_format"], line["seed"])] = line
        except (ValueError, KeyError, TypeError) as error:
            raise UsageError(f"{bench.results}:{number} is no result line: {error}") from error
    return found


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
    done = read_results(bench)
    if not bench.results.exists():
        _append(bench.results, {CONFIGURATION: bench.fixed()})
    waiting = [cell for cell in bench.cells() if cell not in done]
    running: dict[Future[Line], Cell] = {}
    failures: list[str] = []
    run = partial(_run_and_keep, bench.results, work, command, workers)
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


def _check_configuration(bench: Bench, measured: Any) -> None:
    try:
        began = Bench.from_fixed(bench.path, measured)
    except ConfigError as error:
        raise ConfigError(
            f"{bench.results}:1 is a configuration of another version: {error}"
        ) from error
    change = first_change(began.fixed(), bench.fixed())
    if change:
        raise ConfigError(
            f"{bench.path} has changed since {bench.results} was begun: {change}; "
            "undo it, or give the benchmark another name"
        )


def _run_and_keep(results: Path, work: Path, command: list[str], workers: int, cell: Cell) -> Line:
    line = _run(cell, work, command, workers) | {"workers": workers}
    with _KEEPING:
        _append(results, line)
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


def _append(path: Path, line: Line) -> None:
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(line, ensure_ascii=False) + "\n")


def cell_command(config: Path, work: Path) -> list[str]:
    """The command that runs one cell in a process of its own."""
    program = [sys.executable, "-m", "halfbyte", "bench", "quantization", str(config)]
    return [*program, "--work", str(work), "--cell"]
