"""Tables of the server, and of hours of audio."""

from result_lines import NOT_MEASURED, megabytes, origin, table

from halfbyte.measure.result_lines import Line


def long_audio_table(lines: list[Line]) -> str:
    """Memory of hours of audio and of many streams, from the newest line."""
    if not lines:
        return NOT_MEASURED
    line = lines[-1]
    many = line["many_streams"]
    heard = "as alone" if many["equal"] else "otherwise than alone"
    rows = [
        ["resident memory after the first minute", megabytes(line["rss_bytes_after_1_min"])],
        [f"after {line['hours']:g} hours", megabytes(line["rss_bytes_at_end"])],
        ["the furthest that a word's time has drifted", f"{line['worst_drift_s']:.1g} s"],
        [f"resident memory of {many['streams']} streams", megabytes(many["rss_bytes"])],
        ["what each stream heard", heard],
    ]
    return f"{table(['', 'measured'], rows)}\n\n{origin([line])}"


def server_table(lines: list[Line]) -> str:
    """Streams that each server of the newest line holds, and where their time goes."""
    if not lines:
        return NOT_MEASURED
    line = lines[-1]
    head = ["engine", "streams held", "partial, p95", "final, p95", "server, cores"]
    head += ["load generator, cores", "memory a stream"]
    stages = ("features", "encoder", "search", "other", "socket")
    rows = []
    for name, figures in line["servers"].items():
        trials = figures["trials"]
        trial = next((t for t in trials if t["num_streams"] == figures["held"]), trials[-1])
        latency_ms = trial["latency_ms"]
        late = [f"{latency_ms[f'{kind}_beyond_chunk'][1]:.0f} ms" for kind in ("partial", "final")]
        row = [name, str(figures["held"] or f"fewer than {trial['num_streams']}"), *late]
        row += [f"{trial['server_cores']:.2f}", f"{trial['generator_cores']:.2f}"]
        row += [megabytes(trial["stream_bytes"])]
        rows.append(row + [f"{trial['stages_us'][stage] / 1000:.2f}" for stage in stages])
    head += [f"{stage}, ms/s" for stage in stages]
    return f"{table(head, rows)}\n\n{line['workers']} workers. {origin([line])}"


def _megabytes(line: Line) -> str:
    sizes = ", ".join(f"{size:g}" for size in line["idle_heap_mb"])
    return f"{sizes} MB ({100 * line['heap_growth']:+.1f} %)"


def soak_table(lines: list[Line]) -> str:
    """What the newest soak saw."""
    if not lines:
        return NOT_MEASURED
    line = lines[-1]
    misdeeds = sum(line["misdeeds"].values())
    goodbyes = ", ".join(f"{count} with {code}" for code, count in line["goodbyes"].items())
    rows = [
        ["minutes", f"{line['minutes']:g}"],
        ["clients that behave, that do not", f"{line['clients']}, {line['misbehaving']}"],
        ["transcripts", f"{line['transcripts']}"],
        ["of them other than on one stream alone", f"{line['differing']}"],
        ["connections of theirs that broke", f"{line['breaks']}"],
        ["misdeeds", f"{misdeeds}"],
        ["memory, from the second quarter to the last", f"{100 * line['growth']:+.1f} %"],
        ["heap in use with nobody connected, after each quarter", _megabytes(line)],
        ["closed at the end, the server stopped under load", goodbyes],
        ["processes left, tracebacks", f"{line['zombies']}, {line['complaints']}"],
    ]
    return f"{table(['', 'seen'], rows)}\n\n{origin([line])}"
