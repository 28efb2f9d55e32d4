"""The result file of a grid: its configuration, a line for each cell, and times of the formats."""

import json
from dataclasses import dataclass, field
from typing import Any

from halfbyte.errors import ConfigError, UsageError
from halfbyte.measure.quantization.config import Bench, Cell, first_change

Line = dict[str, Any]
CONFIGURATION = "configuration"  # key of the first line
CHUNK_MS = "encoder_chunk_ms"  # key of a line of times


@dataclass
class Results:
    """What a result file holds.

    Attributes:
        cells: the line of each cell.
        chunk_ms: milliseconds of one encoder chunk by number format, the newest of each.
    """

    cells: dict[Cell, Line] = field(default_factory=dict)
    chunk_ms: dict[str, float] = field(default_factory=dict)


def read_results(bench: Bench) -> Results:
    """Read the result file, which belongs to this configuration; without one there are none.

    Raises:
        ConfigError: the configuration is not the one that the lines were measured with.
        UsageError: a line is no result of a benchmark.
    """
    results = Results()
    if not bench.results.exists():
        return results
    for number, text in enumerate(bench.results.read_text(encoding="utf-8").splitlines(), 1):
        try:
            line = json.loads(text)
            if CONFIGURATION in line:
                _check_configuration(bench, line[CONFIGURATION])
            elif CHUNK_MS in line:
                results.chunk_ms |= line[CHUNK_MS]
            else:
                results.cells[Cell(line["method"], line["number_format"], line["seed"])] = line
        except (ValueError, KeyError, TypeError) as error:
            raise UsageError(
                f"{bench.results}:{number} is no result line: {error}; without it, "
                "its cell runs again"
            ) from error
    return results


def keep(bench: Bench, line: Line) -> None:
    """Add a line to the result file; a new one begins with the configuration."""
    lines = [line] if bench.results.exists() else [{CONFIGURATION: bench.fixed()}, line]
    with bench.results.open("a", encoding="utf-8") as file:
        file.write("".join(json.dumps(one, ensure_ascii=False) + "\n" for one in lines))


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
            "undo it, or copy the benchmark to a file of another name"
        )
