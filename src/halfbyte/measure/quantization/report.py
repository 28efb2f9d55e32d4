"""Tables and plots of a quantisation benchmark, from its result lines."""

import io
import statistics
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from halfbyte.files import write_whole
from halfbyte.measure.quantization.config import Bench, Cell, Comparison
from halfbyte.measure.quantization.results import Line, Results
from halfbyte.scores.bootstrap import Counts, Difference, relative_difference
from halfbyte.tables import aligned

ALL = "all"  # the splits together


@dataclass(frozen=True)
class Row:
    """Cells that differ in nothing but their seed.

    Attributes:
        method: how they came to their weights.
        number_format: of the weights and activations, or a map's name.
        lines: a result line for each seed.
        chunk_ms: of the encoder in this format; None if it has not been timed.
    """

    method: str
    number_format: str
    lines: tuple[Line, ...]
    chunk_ms: float | None = None

    @property
    def name(self) -> str:
        """METHOD/FORMAT."""
        return f"{self.method}/{self.number_format}"

    def mean(self, key: str) -> float:
        """Of a figure over the seeds."""
        return statistics.fmean(line[key] for line in self.lines)

    @property
    def wer_spread(self) -> float:
        """Standard deviation of the word error rate over the seeds; 0 of one."""
        rates = [line["wer"] for line in self.lines]
        return statistics.stdev(rates) if len(rates) > 1 else 0.0


def rows_of(bench: Bench, results: Results) -> list[Row]:
    """Measured rows in the order of the configuration."""
    grouped: dict[tuple[str, str], list[Line]] = {}
    for cell in bench.cells():
        if cell in results.cells:
            names = (cell.method, cell.number_format)
            grouped.setdefault(names, []).append(results.cells[cell])
    return [
        Row(method, number_format, tuple(lines), results.chunk_ms.get(number_format))
        for (method, number_format), lines in grouped.items()
    ]


def table(rows: list[Row]) -> str:
    """A line for people for each row."""
    head = ["cell", "seeds", "WER %", "± seeds", "bytes", "bits/weight", "chunk ms", "texts differ"]
    splits = list(rows[0].lines[0]["by_split"]) if rows else []
    cells = [[*head, *splits]]
    for row in rows:
        differing = sum(line["texts_differing"] for line in row.lines)
        compared = sum(line["texts_compared"] for line in row.lines)
        by_split = [
            f"{100 * statistics.fmean(line['by_split'][s]['wer'] for line in row.lines):.2f}"
            for s in splits
        ]
        cells.append([
            row.name, str(len(row.lines)), f"{100 * row.mean('wer'):.2f}",
            f"{100 * row.wer_spread:.2f}", f"{row.mean('bytes'):,.0f}",
            f"{row.mean('bits_per_weight'):.2f}",
            "-" if row.chunk_ms is None else f"{row.chunk_ms:.3f}",
            f"{differing}/{compared}", *by_split,
        ])  # fmt: skip
    return aligned(cells)


def comparisons(bench: Bench, results: Results) -> list[Line]:
    """Every comparison of the configuration that both sides have results for.

    A comparison pools the seeds that both sides have, `missing` are those that the configuration
    has besides; `splits` holds the relative difference of each split and of all together, with the
    bounds of its interval, and `by_seed` that of all together for each seed alone.
    """
    return [
        line
        for comparison in bench.config.comparisons
        if (line := _compare(bench, comparison, results.cells)) is not None
    ]


def comparison_table(lines: Iterable[Line]) -> str:
    """A line for people for each comparison and split."""
    head = ["relative WER", "95 % interval", "seeds alone", "margin", "verdict"]
    cells = [["comparison", "split", "seeds", *head]]
    for line in lines:
        for split, one in line["splits"].items():
            alone = f"{min(line['by_seed']):+.1%} … {max(line['by_seed']):+.1%}"
            cells.append([
                f"{line['of']} against {line['against']}", split, str(len(line["seeds"])),
                f"{one['value']:+.1%}", f"{one['low']:+.1%} … {one['high']:+.1%}",
                alone if split == ALL else "", f"{line['margin']:.1%}", verdict(line, one),
            ])  # fmt: skip
    return aligned(cells)


def verdict(line: Line, one: Line) -> str:
    """What a comparison shows on one split; nothing before the last seed."""
    if line["missing"]:
        return "seeds are missing"
    return "shown" if one["non_inferior"] else "not shown"


def plot(rows: list[Row], figure_of: Callable[[Row], float | None], label: str, path: Path) -> None:
    """Word error rate against a figure, a point for each row with its spread over seeds, as SVG.

    A row without the figure has no point.

    Raises:
        ModuleNotFoundError: matplotlib is not installed.
    """
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    matplotlib.rcParams["svg.hashsalt"] = "halfbyte"  # the same figure gives the same bytes
    figure, axes = pyplot.subplots(figsize=(7, 4.5))
    found = [(row, value) for row in rows if (value := figure_of(row)) is not None]
    for method in dict.fromkeys(row.method for row, _ in found):
        own = [row for row, _ in found if row.method == method]
        x = [value for row, value in found if row.method == method]
        y = [100 * row.mean("wer") for row in own]
        spread = [100 * row.wer_spread for row in own]
        axes.errorbar(x, y, spread, fmt="o", capsize=3, label=method)
        for row, at in zip(own, zip(x, y, strict=True), strict=True):
            axes.annotate(row.number_format, at, textcoords="offset points", xytext=(5, 4))
    axes.set(xlabel=label, ylabel="word error rate, %")
    axes.legend()
    figure.tight_layout()
    content = io.BytesIO()
    figure.savefig(content, format="svg", metadata={"Date": None})
    pyplot.close(figure)
    write_whole(path, content.getvalue())


def _compare(bench: Bench, comparison: Comparison, results: dict[Cell, Line]) -> Line | None:
    sides = (comparison.of, comparison.against)
    by_seed = [{c.seed: results[c] for c in results if _model(c) == side} for side in sides]
    planned = [{c.seed for c in bench.cells() if _model(c) == side} for side in sides]
    seeds = sorted(by_seed[0].keys() & by_seed[1].keys())
    if not seeds:
        return None
    a, b = ([side[seed] for seed in seeds] for side in by_seed)
    splits = list(a[0]["speakers"])
    differences = {s: relative_difference([_counts(a, s)], [_counts(b, s)]) for s in splits}
    differences[ALL] = relative_difference(
        [_counts(a, s) for s in splits], [_counts(b, s) for s in splits]
    )
    return {
        **vars(comparison),
        "seeds": seeds,
        "missing": sorted(planned[0] & planned[1] - set(seeds)),
        "by_seed": [round(x["wer"] / y["wer"] - 1, 5) for x, y in zip(a, b, strict=True)],
        "splits": {s: _plain(d, comparison.margin) for s, d in differences.items()},
    }


def _model(cell: Cell) -> str:
    return f"{cell.method}/{cell.number_format}"


def _counts(lines: list[Line], split: str) -> Counts:
    """(speakers, 2): errors and words, added up over seeds."""
    counts: Counts = np.array([line["speakers"][split] for line in lines], dtype=np.int64)
    return counts.sum(axis=0)


def _plain(difference: Difference, margin: float) -> Line:
    figures = {name: round(value, 5) for name, value in vars(difference).items()}
    return figures | {"non_inferior": difference.is_non_inferior(margin)}
