"""`halfbyte bench quantization CONFIG`: a grid of methods, number formats and seeds."""

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from halfbyte.measure.quantization.config import Bench

EPILOG = """\
examples:
  halfbyte bench quantization bench/quantization/commands.yaml
  halfbyte bench quantization bench/quantization/commands.yaml --workers 4
  halfbyte bench quantization bench/quantization/commands.yaml --report

Each cell trains or quantises a model, compiles it and recognises the test recordings with the
file in the engine. Result lines are kept beside CONFIG, in a file .jsonl of its name: the same
command goes on where it was interrupted. Plots are written there too.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `halfbyte bench quantization`."""
    parser.epilog = EPILOG
    parser.add_argument("config", type=Path, metavar="CONFIG", help="YAML file of the benchmark")
    parser.add_argument(
        "--work",
        type=Path,
        metavar="DIR",
        help="checkpoints and logs (default: build/bench/quantization/NAME)",
    )
    parser.add_argument(
        "--report", action="store_true", help="only tables and plots of what is there"
    )
    parser.add_argument(
        "--workers",
        type=int,
        default=1,
        metavar="N",
        help="cells at once, which share the processors (%(default)s)",
    )
    parser.add_argument("--cell", metavar="METHOD/FORMAT/SEED", help="run one cell, print its line")


def run(options: argparse.Namespace) -> int:
    """Run the cells that are still missing, then print tables and draw plots beside CONFIG.

    With `--cell` one cell runs, and its JSON line is all that is printed.

    Raises:
        ConfigError: CONFIG cannot be read, lacks the cell, or its results are of another one.
        UsageError: `--report` without a result, or fewer workers than one.
    """
    from halfbyte.errors import UsageError
    from halfbyte.measure.quantization.cell import check_cells
    from halfbyte.measure.quantization.config import read_bench
    from halfbyte.measure.quantization.grid import cell_command, run_grid

    if options.workers < 1:
        raise UsageError(f"--workers is {options.workers}; expected 1 or more")
    bench = read_bench(options.config)
    work = options.work or Path("build/bench/quantization") / bench.config.name
    if options.cell:
        return _run_cell(options.config, work, options.cell)
    if not options.report:
        check_cells(bench)
        command = cell_command(options.config, work)
        for cell, line in run_grid(bench, work, command, options.workers):
            print(
                f"{cell.name}: WER {100 * line['wer']:.2f} %, {line['bytes']:,} bytes, "
                f"{line['texts_differing']} of {line['texts_compared']} texts differ, "
                f"{line['seconds']:.0f} s",
                flush=True,
            )
        _time(bench, work)
    _report(options.config)
    return 0


def _run_cell(config: Path, work: Path, name: str) -> int:
    from halfbyte.measure.quantization.cell import run_cell
    from halfbyte.measure.quantization.config import read_bench

    bench = read_bench(config)
    print(json.dumps(run_cell(bench, bench.cell_named(name), work)))
    return 0


def _time(bench: "Bench", work: Path) -> None:
    from halfbyte.measure.quantization.results import keep, read_results
    from halfbyte.measure.quantization.timing import time_formats

    line = time_formats(bench, read_results(bench), work)
    if line is not None:
        keep(bench, line)


def _report(config: Path) -> None:
    from halfbyte.errors import UsageError
    from halfbyte.measure.quantization import report
    from halfbyte.measure.quantization.config import read_bench
    from halfbyte.measure.quantization.results import read_results

    bench = read_bench(config)
    results = read_results(bench)
    rows = report.rows_of(bench, results)
    if not rows:
        raise UsageError(f"{bench.results} holds no results; run the benchmark without --report")
    print(report.table(rows))
    compared = report.comparisons(bench, results)
    if compared:
        print(report.comparison_table(compared))
    by_bytes, by_time = (config.with_name(f"{config.stem}-{x}.svg") for x in ("bytes", "time"))
    report.plot(rows, lambda row: row.mean("bytes"), "bytes of the model file", by_bytes)
    if results.chunk_ms:
        report.plot(rows, lambda row: row.chunk_ms, "ms a chunk of the encoder", by_time)
    print(json.dumps({"name": bench.config.name, "comparisons": compared}))
