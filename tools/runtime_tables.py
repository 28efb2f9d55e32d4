"""Tables of docs/speed.md: a layer and an encoder chunk beside other runtimes."""

from result_lines import NOT_MEASURED, megabytes, origin, table

from halfbyte.measure.result_lines import Line
from halfbyte.measure.spread import percent, ratio, shown

SHOWN_ROWS = (1, 4, 16, 64, 256)
LAYER = "linear_w4a8_"
PEERS = {  # what the table calls them -> how their names in a line begin
    "fastest other": "",
    "ONNX Runtime int8": "onnxruntime int8",
    "its 4 bits, best": "onnxruntime int4",
    "XNNPACK `qd8-qc8w`": "litert int8",
    "XNNPACK `qd8-qc4w`": "litert int4",
    "OpenVINO int8": "openvino int8",
    "torch int8": "torch int8",
}
ENCODER = "halfbyte w4a8"


def kernels_table(lines: list[Line]) -> str:
    """Of the newest line: each shape at a few numbers of rows."""
    if not lines:
        return NOT_MEASURED
    line = lines[-1]
    head = ["layer", "rows", "µs", "of peak", "of bandwidth, cold", *PEERS]
    cells = []
    for row in line["rows"]:
        if row["rows"] not in SHOWN_ROWS:
            continue
        ours = next(row["us"][name]["median"] for name in row["us"] if name.startswith(LAYER))
        bandwidth = f"{percent(row['share_of_bandwidth'])} %" if row["rows"] <= 4 else ""
        cells.append(
            [
                f"{row['inputs']} → {row['outputs']}",
                str(row["rows"]),
                f"{ours:.1f}",
                f"{percent(row['share_of_peak'])} %",
                bandwidth,
                *(_ratio(row["us"], begin, ours) for begin in PEERS.values()),
            ]
        )
    peaks = (
        f"{line['isa']}, one thread: {line['peak_macs_per_s'] / 1e9:.0f} billion multiply-adds a "
        f"second at most, {line['read_bytes_per_s'] / 1e9:.1f} GB/s read."
    )
    return f"{table(head, cells)}\n\n{peaks} {origin([line])}"


def _ratio(us: dict[str, Line], begin: str, ours: float) -> str:
    """The time of the fastest runner of that name, over ours."""
    others = [
        figure["median"]
        for name, figure in us.items()
        if name.startswith(begin) and not name.startswith("linear_")
    ]
    return shown(ratio(min(others), ours), ".2f") if others else "-"


def encoder_table(lines: list[Line]) -> str:
    """Of the newest line: each chunk on each instruction set, the fastest other first."""
    if not lines:
        return NOT_MEASURED
    line = lines[-1]
    measured = [line, *line.get("other_isas", {}).values()]
    names = [name for name in line["rows"][0]["times"] if not name.startswith("halfbyte")]
    names.sort(key=lambda name: float(line["rows"][0]["times"][name]["median_ms"]))
    head = ["instruction set", "chunk", "ours, ms", *names]
    cells = [
        [
            part["isa"],
            _seconds(row["chunk_ms"]),
            f"{row['times'][ENCODER]['median_ms']:.2f} ± {row['times'][ENCODER]['mad_ms']:.2f}",
            *(_of_ours(row["times"], name) for name in names),
        ]
        for part in measured
        for row in part["rows"]
    ]
    limits = "".join(_limit(line, other) for other in measured[1:])
    return f"{table(head, cells)}\n\n{limits}{_file(line['file'])} {origin([line])}"


def _limit(free: Line, held: Line) -> str:
    """Whether what holds torch to an instruction set took hold."""
    first, second = (part["rows"][0]["times"]["torch int8"]["median_ms"] for part in (free, held))
    return (
        f"torch int8 took {first:.1f} ms for the first chunk, and {second:.1f} in the process held "
        f"to {held['isa']}. "
    )


def _of_ours(times: dict[str, Line], name: str) -> str:
    return shown(times[name]["of_ours"], ".2f") if name in times else "-"


def _seconds(chunk_ms: int) -> str:
    return f"{chunk_ms} ms" if chunk_ms < 2000 else f"{chunk_ms / 1000:g} s"


def _file(file: Line) -> str:
    beyond = file["beyond_file_bytes"] - file["interpreter_rss_bytes"]
    return (
        f"The file has {megabytes(file['bytes'])}; opening it and the first chunk take "
        f"{file['open_and_first_chunk_ms']:.0f} ms of processor time from a warm disk cache. A "
        f"Python process with it peaks at {megabytes(file['peak_rss_bytes'])}: the file, "
        f"{megabytes(file['interpreter_rss_bytes'])} of Python and {megabytes(beyond)} of ours."
    )
