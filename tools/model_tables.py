"""Tables of what models get right, how large and how fast they are."""

import json
import math
from pathlib import Path
from typing import Any

from result_lines import NOT_MEASURED, chunk, false_words, megabytes, origin, percent, table

from halfbyte.measure.result_lines import Line, read_lines

CARD_KEYS = ("model", "split", "chunk_ms", "mode", "wer", "words", "rtf", "machine", "commit")
SUMMARY_MODE, SUMMARY_FORMAT, SUMMARY_CHUNK_MS = "rescoring", "w4a8", 640  # what users get
SPEECH = {  # split -> what is said in it, for people
    "speech_commands/test": "single commands and digits",
    "wuw2/test": "key phrases over the telephone, some inside sentences",
    "an4/test": "names, numbers and spelled words",
    "speechocean762/test": "read sentences, non-native speakers, half of them children",
    "librispeech_clean5/test": "books read aloud",
    "common_voice/test": "sentences with many accents and cheap microphones",
    "wake_words/test": "wake words that it was never taught",
}


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
    """How well the shipped file does, in everyday words: a row for each kind of speech."""
    shipped = {"number_format": SUMMARY_FORMAT, "mode": SUMMARY_MODE, "chunk_ms": SUMMARY_CHUNK_MS}
    chosen = [line for line in lines if line["split"] in SPEECH and shipped.items() <= line.items()]
    if not chosen:
        return NOT_MEASURED
    chosen.sort(key=lambda line: -line["sentence_accuracy"])
    rows = [
        [
            SPEECH[line["split"]],
            f"{percent(line['sentence_accuracy'])} of {line['utterances']}",
            percent(line["wer"]),
        ]
        for line in chosen
    ]
    slowest = max(line["rtf"] for line in chosen)
    memory = megabytes(max(line["peak_rss_bytes"] for line in chosen))
    size = (
        f"File {megabytes(chosen[-1]['bytes'])}, memory at most {memory}, a second of speech takes "
        f"{1000 * slowest:.1f} ms of one processor core; words appear every {SUMMARY_CHUNK_MS} ms."
    )
    head = ["what is said", "recordings without a mistake", "words wrong"]
    return f"{table(head, rows)}\n\n{size} {origin(chosen)}"


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
            megabytes(line["bytes"]),
            chunk(line["chunk_ms"]),
            line["mode"],
            line["split"],
            percent(line["wer"]),
            f"{percent(line['wer_low'])} – {percent(line['wer_high'])}",
            percent(line["sentence_accuracy"]),
            false_words(line),
            f"{line['rtf']:.3f}",
            megabytes(line["peak_rss_bytes"]),
            str(line["seed"]),
            line["commit"][:7],
        ]
        for line in lines
    ]
    return f"{table(head, cells)}\n\n{origin(lines)}"


def non_inferiority_table(lines: list[Line]) -> str:
    """One row per split and chunk of the two models that were compared last."""
    if not lines:
        return NOT_MEASURED
    last = lines[-1]
    files = ("model_sha256", "other_sha256")
    lines = [line for line in lines if all(line[key] == last[key] for key in files)]
    head = [
        "chunk",
        "split",
        f"WER {last['model']}",
        f"WER {last['other']}",
        "difference, relative",
    ]
    head += ["95 % interval", f"worse by at most {percent(last['margin'])}"]
    rows = {
        (line["chunk_ms"], line["split"]): [
            chunk(line["chunk_ms"]),
            line["split"],
            percent(line["wer"]),
            percent(line["other_wer"]),
            _signed(line["difference"]),
            f"{_signed(line['low'])} – {_signed(line['high'])}",
            "yes" if line["is_non_inferior"] else "not shown",
        ]
        for line in lines
    }
    size = (
        f"The whole {last['model']} file has {last['bytes']:,} bytes, "
        f"{4 * last['parameters'] / last['bytes']:.2f} times fewer than its {last['parameters']:,} "
        "parameters in float32."
    )
    return f"{table(head, list(rows.values()))}\n\n{size} {origin(lines)}"


def background_table(lines: list[Line]) -> str:
    """Words heard after seconds of background, of the newest line."""
    if not lines:
        return NOT_MEASURED
    line = lines[-1]
    seconds = list(next(iter(line["right"].values())))
    rows = [[kind, *(str(counts[s]) for s in seconds)] for kind, counts in line["right"].items()]
    head = ["before the word", *(f"{s} s" for s in seconds)]
    clips = f"Words right, of {line['clips']} clips, in chunks of {line['chunk_ms']} ms."
    return f"{table(head, rows)}\n\n{clips} {origin([line])}"


def _signed(share: float) -> str:
    return f"{100 * share:+.1f} %"


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
        start += f"; base install with the model {megabytes(line['installed_bytes']['all'])}"
    return f"{table(head, cells)}\n\nOne thread, {line['isa']}; {start}. {origin([line])}"


def words_table(lines: list[Line]) -> str:
    """The newest run of recipes/words."""
    if not lines:
        return NOT_MEASURED
    line = lines[-1]
    right = line["sentence_accuracy"]
    row = [
        str(line["epochs"]),
        f"{line['train_cpu_s'] / 60:.0f} min",
        megabytes(line["bytes"]),
        f"{percent(right)} of {line['utterances']}",
        f"{line['false_words']} in {line['silent_utterances']}",
    ]
    head = ["epochs", "processor time", "file", "words right", "words heard where none is"]
    load = "" if line["is_quiet"] else " The machine did other work meanwhile."
    return table(head, [row]) + f"\n\nTest split of {line['corpus']}. {origin([line])}{load}"
