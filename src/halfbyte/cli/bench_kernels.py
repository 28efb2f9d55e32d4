"""`halfbyte bench kernels`: one linear layer in every kernel and in other runtimes."""

import argparse
import json
from pathlib import Path
from typing import Any

PLOTTED, PLOTTED_ROWS = (512, 2048), 16


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `halfbyte bench kernels`."""
    parser.add_argument("--isa", default="", metavar="NAME", help="default: the best")
    parser.add_argument("--rows", type=int, nargs="+", metavar="N", help="default: 1 to 256")
    parser.add_argument("--repeat", type=int, default=50, help="calls (%(default)s)")
    parser.add_argument("--no-peers", action="store_true", help="our kernels only")
    parser.add_argument("--append", type=Path, metavar="FILE", help="add the JSON line to a file")
    parser.add_argument("--plot", type=Path, metavar="SVG", help="draw 512 → 2048 at 16 rows")


def run(options: argparse.Namespace) -> int:
    """Time one linear layer in every kernel; the last line printed is the JSON line.

    Raises:
        UsageError: an instruction set that this machine lacks.
    """
    from halfbyte import _core
    from halfbyte.measure.cpu import pin
    from halfbyte.measure.kernel_bench import ROWS, SHAPES, bench_kernels
    from halfbyte.measure.result_lines import append_line

    pin()
    isa = options.isa or _core.kernels.default_isa()
    rows = options.rows or ROWS
    line = bench_kernels(SHAPES, rows, isa, options.repeat, not options.no_peers, print)
    if options.plot is not None:
        _plot(options.plot, line)
    if options.append is not None:
        append_line(options.append, line)
    print(json.dumps(line, ensure_ascii=False))
    return 0


def _plot(path: Path, line: dict[str, Any]) -> None:
    from halfbyte.measure.bar_chart import write_bars

    for row in line["rows"]:
        if (row["inputs"], row["outputs"]) == PLOTTED and row["rows"] == PLOTTED_ROWS:
            write_bars(
                path,
                f"Linear layer 512 → 2048, 16 rows, one thread, {line['isa']}",
                {
                    name.replace("linear_", "halfbyte "): figure["median"]
                    for name, figure in row["us"].items()
                },
                "µs",
            )
