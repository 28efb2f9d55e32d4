"""Tables of what bits cost: the grid, mixed maps, endless synthetic speech, a training step."""

import statistics
from pathlib import Path

from result_lines import NOT_MEASURED, origin, percent, table

from halfbyte.measure.quantization import report
from halfbyte.measure.quantization.config import read_bench
from halfbyte.measure.quantization.results import read_results
from halfbyte.measure.result_lines import Line


def grid_table(config: Path) -> str:
    """A row for each method and format: words wrong, their spread over seeds, bytes, time."""
    bench = read_bench(config)
    rows = report.rows_of(bench, read_results(bench))
    if not rows:
        return NOT_MEASURED
    splits = list(rows[0].lines[0]["by_split"])
    cells = []
    for row in rows:
        by_split = [
            percent(statistics.fmean(line["by_split"][split]["wer"] for line in row.lines))
            for split in splits
        ]
        spread = f" ± {100 * row.wer_spread:.1f}" if len(row.lines) > 1 else ""
        cells.append([
            row.method.replace("_", " "), row.number_format, str(len(row.lines)),
            f"{100 * row.mean('wer'):.1f}{spread} %", *by_split,
            f"{row.mean('bytes'):,.0f}", f"{row.mean('bits_per_weight'):.2f}",
            "-" if row.chunk_ms is None else f"{1000 * row.chunk_ms:.0f}",
        ])  # fmt: skip
    names = [split.removesuffix(".jsonl") for split in splits]
    head = ["weights", "format", "seeds", "words wrong", *names, "bytes", "bits", "chunk, µs"]
    return table(head, cells)


def grid_comparisons(config: Path) -> str:
    """What was claimed before the first run, and how it came out."""
    bench = read_bench(config)
    found = report.comparisons(bench, read_results(bench))
    if not found:
        return NOT_MEASURED
    cells = []
    for line in found:
        both = line["splits"][report.ALL]
        alone = [100 * value for value in line["by_seed"]]
        cells.append([
            f"{line['of']} against {line['against']}", str(len(line["seeds"])),
            *(_difference(line["splits"][split]) for split in (report.ALL, *_splits(line))),
            f"{min(alone):+.1f} to {max(alone):+.1f} %",
            f"not worse by {100 * line['margin']:.0f} %: {report.verdict(line, both)}",
        ])  # fmt: skip
    names = [split.removesuffix(".jsonl") for split in _splits(found[0])]
    return table(["comparison", "seeds", "both", *names, "seeds alone", "claim, of both"], cells)


def _splits(line: Line) -> list[str]:
    return [split for split in line["splits"] if split != report.ALL]


def _difference(one: Line) -> str:
    """A relative difference with the bounds of its interval."""
    value, low, high = (100 * one[key] for key in ("value", "low", "high"))
    return f"{value:+.1f} % ({low:+.1f} to {high:+.1f})"


def sensitivity_table(lines: list[Line]) -> str:
    """The maps of `halfbyte bench sensitivity`, each measured as a whole."""
    maps = [line for line in lines if "map" in line]
    if not maps:
        return NOT_MEASURED
    rows = [
        [line["map"], f"{line['code_bytes']:,}", f"{line['divergence']:.4f}", percent(line["wer"])]
        for line in maps
    ]
    return table(["map", "bytes of codes", "divergence", "words wrong"], rows)


def synthetic_table(lines: list[Line]) -> str:
    """A row for each size, a column for each format: held-out loss and bytes."""
    if not lines:
        return NOT_MEASURED
    formats = list(dict.fromkeys(line["number_format"] for line in lines))
    sizes = dict.fromkeys(line["size"] for line in sorted(lines, key=lambda line: line["bytes"]))
    found = {(line["size"], line["number_format"]): line for line in lines}
    rows = [
        [size, *(_loss_and_bytes(found.get((size, name))) for name in formats)] for size in sizes
    ]
    return f"{table(['size', *formats], rows)}\n\n{origin(lines)}"


def _loss_and_bytes(line: Line | None) -> str:
    return "-" if line is None else f"{line['loss']:.3f} ({line['bytes'] / 1e3:,.0f} kB)"


def training_speed_table(lines: list[Line]) -> str:
    """The newest line of each device, precision and number of threads."""
    if not lines:
        return NOT_MEASURED
    newest = {(line["device"], line["precision"], line["threads"]): line for line in lines}
    rows = [
        [
            *(name, device, precision, str(threads), line["clock"]),
            *(f"{one['step_ms']:.0f}", f"{one['to_float']:.2f}"),
        ]
        for (device, precision, threads), line in newest.items()
        for name, one in line["formats"].items()
    ]
    head = ["format", "device", "autocast", "threads", "clock", "a step, ms", "to float32"]
    return f"{table(head, rows)}\n\n{origin(list(newest.values()))}"
