"""Writes the result tables of README.md and of pages of docs/ from bench/results.

    python tools/readme_table.py            write them
    python tools/readme_table.py --check    exit 1 if a table is not what the results give

A table stands between `<!-- results: NAME -->` and `<!-- end of results -->`. A result line is
one JSON object; bench/README.md says what its keys mean. Of lines with the same model,
number format, split, chunk and mode the last one counts.
"""

import hashlib
import json
import math
import re
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
RESULTS = Path("bench/results/en-voice.jsonl")
SPEED = Path("bench/results/speed.jsonl")
EQUALITY = Path("bench/results/equality.jsonl")
WORDS = Path("bench/results/words.jsonl")
LONG_AUDIO = Path("bench/results/long-audio.jsonl")
SERVER = Path("bench/results/server.jsonl")
SOAK = Path("bench/results/soak.jsonl")
PAGES = {
    "README.md": ["summary"],
    "docs/models.md": ["every line", "speed", "equality"],
    "docs/tutorial.md": ["words"],
    "docs/limits.md": ["long audio"],
    "docs/server.md": ["server", "soak"],
}
MODEL = Path("src/halfbyte/assets/en-voice.hb")
CARD = MODEL.with_suffix(".results.jsonl")  # what the server's page shows
CARD_KEYS = ("model", "split", "chunk_ms", "mode", "wer", "words", "rtf", "machine", "commit")
NOT_MEASURED = "Not measured yet."
SUMMARY_MODE = "rescoring"

Line = dict[str, Any]


def read_lines(path: Path) -> list[Line]:
    """All lines of a result file; none if it is not there."""
    if not path.exists():
        return []
    texts = path.read_text(encoding="utf-8").split("\n")
    return [json.loads(text) for text in texts if text.strip()]


def read_results(path: Path) -> list[Line]:
    """Result lines, the last of each kind, those that are compared beside each other."""
    kinds = ("model", "number_format", "split", "chunk_ms", "mode")
    newest = {tuple(line[kind] for kind in kinds): line for line in read_lines(path)}
    return sorted(newest.values(), key=_place)


def _place(line: Line) -> tuple[Any, ...]:
    """Split by split, rescoring before greedy, whole segments before short chunks."""
    chunk_ms = line["chunk_ms"] or math.inf
    is_pooled, is_greedy = line["split"] == "all", line["mode"] != SUMMARY_MODE
    return (is_pooled, line["split"], is_greedy, -chunk_ms, line["model"], line["number_format"])


def summary_table(lines: list[Line]) -> str:
    """One row per number format and chunk, decoded by rescoring: a column per split."""
    chosen = [line for line in lines if line["mode"] == SUMMARY_MODE]
    if not chosen:
        return NOT_MEASURED
    splits = list(dict.fromkeys(line["split"] for line in chosen))
    rows: dict[tuple[str, str, Any], dict[str, Line]] = {}
    for line in chosen:
        row = (line["model"], line["number_format"], line["chunk_ms"])
        rows.setdefault(row, {})[line["split"]] = line
    head = ["model", "weights", "file", "chunk", *(f"WER {split}" for split in splits)]
    cells = [_summary_row(row, by_split, splits) for row, by_split in rows.items()]
    return _table([*head, "real-time factor", "RAM"], cells) + "\n\n" + _origin(chosen)


def card(lines: list[Line], model_sha256: str) -> str:
    """The lines of this very model file, decoded as a user does who chooses nothing."""
    chosen = [
        line
        for line in lines
        if line["mode"] == SUMMARY_MODE and line["model_sha256"] == model_sha256
    ]
    return "".join(
        json.dumps({key: line[key] for key in CARD_KEYS}, ensure_ascii=False) + "\n"
        for line in chosen
    )


def full_table(lines: list[Line]) -> str:
    """One row per result line."""
    if not lines:
        return NOT_MEASURED
    head = ["model", "weights", "file", "chunk", "mode", "split", "WER"]
    head += ["95 % interval", "sentences right", "false words"]
    head += ["real-time factor", "RAM", "seed", "commit"]
    cells = [
        [
            line["model"],
            line["number_format"],
            _megabytes(line["bytes"]),
            _chunk(line["chunk_ms"]),
            line["mode"],
            line["split"],
            _percent(line["wer"]),
            f"{_percent(line['wer_low'])} – {_percent(line['wer_high'])}",
            _percent(line["sentence_accuracy"]),
            _false_words(line),
            f"{line['rtf']:.3f}",
            _megabytes(line["peak_rss_bytes"]),
            str(line["seed"]),
            line["commit"][:7],
        ]
        for line in lines
    ]
    return f"{_table(head, cells)}\n\n{_sizes(lines)} {_origin(lines)}"


def _sizes(lines: list[Line]) -> str:
    """Each whole file beside four bytes for each weight of its layers."""
    ratios = {
        line["number_format"]: f"{line['number_format']}: {line['bytes']:,} bytes, "
        f"{line['float32_bytes'] / line['bytes']:.2f} times smaller than the weights in float32"
        for line in lines
        if line["bytes"] < line["float32_bytes"]
    }
    return "".join(f"Whole file, {ratio}." for ratio in ratios.values())


def speed_table(lines: list[Line]) -> str:
    """One row per runner of the newest speed line: a chunk, and its time beside the best peer."""
    if not lines:
        return NOT_MEASURED
    line = lines[-1]
    cold, warm = line["chunk"]["cold"], line["chunk"]["warm"]
    runners = [name for name, figures in warm.items() if isinstance(figures, dict)]
    peer = warm["strongest_peer"]
    head = ["runner", "cold, ms", "warm, ms", "MAD", f"warm, of {peer}", "real-time factor, a file"]
    cells = [
        [
            name,
            f"{cold[name]['median_ms']:.2f}",
            f"{warm[name]['median_ms']:.2f}",
            f"{warm[name]['mad_ms']:.2f}",
            f"{warm[name]['of_strongest_peer']:.2f}",
            f"{line['file'][name]['median']:.4f}",
        ]
        for name in runners
    ]
    start = f"{line['start']['first_word_s']:.2f} s from a cold start to the first word"
    if "installed_bytes" in line:
        start += f"; base install with the model {_megabytes(line['installed_bytes']['all'])}"
    return f"{_table(head, cells)}\n\nOne thread, {line['isa']}; {start}. {_origin([line])}"


def equality_table(lines: list[Line]) -> str:
    """The newest line of each level: operators, models, texts, instruction sets and threads."""
    newest = {line["level"]: line for line in lines}
    shown = [write(newest[level]) for level, write in _EQUALITY_LEVELS.items() if level in newest]
    return "\n\n".join(shown) or NOT_MEASURED


def _operators_equal(line: Line) -> str:
    isas = ", ".join(line["isas"])
    cases = f"{line['cases']:,} cases of reference, torch, ONNX Runtime and the kernels of {isas}"
    return f"**Operators**: {cases} agree to the last bit. {_origin([line])}"


def _models_beside(line: Line) -> str:
    """Engine and ONNX Runtime beside the training graph, chunk by chunk."""
    head = ["beside the training graph", "codes that flip", "largest difference of encoder output"]
    cells = [
        [
            name,
            f"{100 * line[name]['codes_flipped']:.2f} %",
            f"{line[name]['encoder_out_difference']:.3f}",
        ]
        for name in ("ONNX Runtime", "engine")
    ]
    note = f"{line['utterances']} test utterances in chunks of {line['chunk_ms']} ms"
    note = f"**Models**: {note}, {line['codes']:,} codes. {_origin([line])}"
    return f"{note}\n\n{_table(head, cells)}"


def _texts_beside(line: Line) -> str:
    """Transcripts of all test utterances beside the engine's on its best instruction set."""
    best = f"engine {line['isa']}"
    names = [name for name, value in line.items() if isinstance(value, dict) and name != best]
    cells = [
        [name, str(line[name]["texts_that_differ"]), _yes(line[name]["same_encoder_bits"])]
        for name in names
    ]
    head = [f"beside {best}", "texts that differ", "encoder output equal to the last bit"]
    kind = f"{line['chunk_ms']} ms, {line['mode']}"
    note = f"**Texts**: all {line['utterances']} test utterances, {kind}. {_origin([line])}"
    return f"{note}\n\n{_table(head, cells)}"


def _threads_equal(line: Line) -> str:
    splits = ", ".join(f"{name} ({count})" for name, count in line["splits"].items())
    threads = ", ".join(map(str, line["thread_counts"]))
    isas = ", ".join(line["isas"])
    outcome = f"{line['texts_that_differ']} texts differ, encoder output the same to the last bit"
    if not line["same_encoder_bits"]:
        outcome = f"{line['texts_that_differ']} texts differ, encoder output differs"
    kind = f"{line['chunk_ms']} ms, {line['mode']}"
    return (
        f"**Instruction sets and threads**: {splits}, {kind}, on {isas} with {threads} threads: "
        f"{outcome}. {_origin([line])}"
    )


def _yes(value: bool) -> str:
    return "yes" if value else "no"


_EQUALITY_LEVELS = {
    "operator": _operators_equal,
    "model": _models_beside,
    "text": _texts_beside,
    "engine": _threads_equal,
}


def words_table(lines: list[Line]) -> str:
    """The newest run of recipes/words."""
    if not lines:
        return NOT_MEASURED
    line = lines[-1]
    right = line["sentence_accuracy"]
    row = [
        str(line["epochs"]),
        f"{line['train_cpu_s'] / 60:.0f} min",
        _megabytes(line["bytes"]),
        f"{_percent(right)} of {line['utterances']}",
        f"{line['false_words']} in {line['silent_utterances']}",
    ]
    head = ["epochs", "processor time", "file", "words right", "words heard where none is"]
    load = "" if line["is_quiet"] else " The machine did other work meanwhile."
    return _table(head, [row]) + f"\n\nTest split of {line['corpus']}. {_origin([line])}{load}"


def long_audio_table(lines: list[Line]) -> str:
    """Memory of hours of audio and of many streams, from the newest line."""
    if not lines:
        return NOT_MEASURED
    line = lines[-1]
    many = line["many_streams"]
    heard = "as alone" if many["equal"] else "otherwise than alone"
    rows = [
        ["resident memory after the first minute", _megabytes(line["rss_bytes_after_1_min"])],
        [f"after {line['hours']:g} hours", _megabytes(line["rss_bytes_at_end"])],
        ["the furthest that a word's time has drifted", f"{line['worst_drift_s']:.1g} s"],
        [f"resident memory of {many['streams']} streams", _megabytes(many["rss_bytes"])],
        ["what each stream heard", heard],
    ]
    return f"{_table(['', 'measured'], rows)}\n\n{_origin([line])}"


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
        row += [_megabytes(trial["stream_bytes"])]
        rows.append(row + [f"{trial['stages_us'][stage] / 1000:.2f}" for stage in stages])
    head += [f"{stage}, ms/s" for stage in stages]
    return f"{_table(head, rows)}\n\n{line['workers']} workers. {_origin([line])}"


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
        ["closed at the end, the server stopped under load", goodbyes],
        ["processes left, tracebacks", f"{line['zombies']}, {line['complaints']}"],
    ]
    return f"{_table(['', 'seen'], rows)}\n\n{_origin([line])}"


def fill(page: str, name: str, table: str) -> str:
    """The page with the table of that name replaced.

    Raises:
        ValueError: the page has no place for it.
    """
    start, end = f"<!-- results: {name} -->", "<!-- end of results -->"
    pattern = re.compile(re.escape(start) + ".*?" + re.escape(end), re.DOTALL)
    if not pattern.search(page):
        raise ValueError(f"no table {name!r}; expected a line {start} and later {end}")
    return pattern.sub(lambda _: f"{start}\n\n{table}\n\n{end}", page, count=1)


def render(root: Path) -> dict[Path, str]:
    """Every page with its table, and the card, by path."""
    lines = read_results(root / RESULTS)
    tables = {
        "summary": summary_table(lines),
        "every line": full_table(lines),
        "speed": speed_table(read_lines(root / SPEED)),
        "equality": equality_table(read_lines(root / EQUALITY)),
        "words": words_table(read_lines(root / WORDS)),
        "long audio": long_audio_table(read_lines(root / LONG_AUDIO)),
        "server": server_table(read_lines(root / SERVER)),
        "soak": soak_table(read_lines(root / SOAK)),
    }
    model_sha256 = hashlib.sha256((root / MODEL).read_bytes()).hexdigest()
    pages = {root / CARD: card(lines, model_sha256)}
    for page, names in PAGES.items():
        text = (root / page).read_text(encoding="utf-8")
        for name in names:
            text = fill(text, name, tables[name])
        pages[root / page] = text
    return pages


def main(arguments: list[str]) -> int:
    """Write the pages, or only compare; returns the exit status."""
    differing = [
        (path, text)
        for path, text in render(ROOT).items()
        if not path.exists() or path.read_text(encoding="utf-8") != text
    ]
    if arguments == ["--check"]:
        for path, _ in differing:
            print(f"{path.name}: its table is not what {RESULTS} gives; run make readme")
        return int(bool(differing))
    for path, text in differing:
        path.write_text(text, encoding="utf-8")
        print(f"wrote {path.name}")
    return 0


def _summary_row(
    row: tuple[str, str, Any], by_split: dict[str, Line], splits: list[str]
) -> list[str]:
    model, number_format, chunk_ms = row
    lines = list(by_split.values())
    wers = [_percent(by_split[s]["wer"]) if s in by_split else "-" for s in splits]
    largest_bytes = max(line["peak_rss_bytes"] for line in lines)
    slowest = max(line["rtf"] for line in lines)
    size = _megabytes(lines[-1]["bytes"])
    chunk = _chunk(chunk_ms)
    return [model, number_format, size, chunk, *wers, f"{slowest:.3f}", _megabytes(largest_bytes)]


def _table(head: list[str], rows: list[list[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)


def _origin(lines: list[Line]) -> str:
    machines = dict.fromkeys(line["machine"] for line in lines)
    commits = dict.fromkeys(line["commit"][:7] for line in lines)
    return f"Measured on {'; '.join(machines)}; commit {', '.join(commits)}."


def _chunk(chunk_ms: int) -> str:
    return f"{chunk_ms} ms" if chunk_ms else "whole segment"


def _false_words(line: Line) -> str:
    """Words heard where nothing is said."""
    silent = line["silent_utterances"]
    return f"{line['false_words']} in {silent} clips" if silent else "-"


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def _megabytes(size_bytes: int) -> str:
    return f"{size_bytes / 1e6:.1f} MB"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
