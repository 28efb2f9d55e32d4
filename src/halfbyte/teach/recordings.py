"""The recordings of a lesson: checked, and divided into those to learn from and those held out."""

import hashlib
import json
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from halfbyte.data.importers import choose_importer
from halfbyte.data.prepare import PrepareOptions, prepare
from halfbyte.data.tokenizer import UNKNOWN, Tokenizer
from halfbyte.errors import UsageError
from halfbyte.files import write_whole

LEARN, HELD_OUT = "learn.jsonl", "held-out.jsonl"
FEWEST = 10  # recordings, below which nothing can be learned and measured
_ONE_IN = 6  # recordings that are held out where the table does not say which
_FEWEST_SPEAKERS = 6  # of whom whole speakers are held out

Line = dict[str, Any]


@dataclass(frozen=True)
class Recordings:
    """What there is to learn from.

    Attributes:
        folder: holds `learn.jsonl` and `held-out.jsonl`.
        num_learn, num_held_out: recordings in each.
        held_out: how those that are held out were chosen, in words.
        learn_s: seconds of audio to learn from.
        bad: recordings that cannot be used, a line each.
    """

    folder: Path
    num_learn: int
    num_held_out: int
    held_out: str
    learn_s: float
    bad: list[str]


def gather(source: Path, folder: Path, tokenizer: Tokenizer) -> Recordings:
    """Check a folder of recordings and write the two manifests of a lesson.

    Args:
        source: any layout that `halfbyte prepare` reads.
        tokenizer: of the model to teach; texts must be ones that it can write.

    Raises:
        UsageError: no recordings, too few, none with a text, or texts that cannot be written.
        ManifestError: no recording can be used.
    """
    if source.is_dir() and not any(source.iterdir()):
        raise UsageError(f"{source} is empty; put recordings and a table of their texts there")
    options = PrepareOptions(skip_bad=True, lower_case=True)
    report = prepare(source, folder, choose_importer(source), options)
    splits = {name: _read(folder / f"{name}.jsonl") for name in report.splits}
    lines = [line for split in splits.values() for line in split]
    _check(source, lines, report.skipped, tokenizer)
    learn, held_out, how = _divide(splits)
    for name, chosen in ((LEARN, learn), (HELD_OUT, held_out)):
        write_whole(folder / name, "".join(json.dumps(line) + "\n" for line in chosen).encode())
    seconds = sum(line["duration"] for line in learn)
    return Recordings(folder, len(learn), len(held_out), how, seconds, report.skipped)


def _read(manifest: Path) -> list[Line]:
    """Lines of a manifest; ids name the split too, so that they differ across splits."""
    lines = [json.loads(line) for line in manifest.read_text(encoding="utf-8").splitlines()]
    return [{**line, "id": f"{manifest.stem}/{line['id']}"} for line in lines]


def _check(source: Path, lines: list[Line], bad: list[str], tokenizer: Tokenizer) -> None:
    if len(lines) < FEWEST:
        noun = "recording" if len(lines) == 1 else "recordings"
        raise UsageError(
            f"{source} has {len(lines)} usable {noun}; teach needs {FEWEST} or more, "
            "several of each word or phrase"
            + (f"; {len(bad)} cannot be used, the first: {bad[0]}" if bad else "")
        )
    if not any(line["text"] for line in lines):
        raise UsageError(f"{source}: all texts are empty; write what is said in each recording")
    for line in lines:
        unknown = sorted({c for c in line["text"] if c != " " and not _can_write(tokenizer, c)})
        if unknown:
            raise UsageError(
                f"{line['audio_filepath']}: the text {line['text']!r} holds {' '.join(unknown)}, "
                "which the model cannot write; spell texts as they are spoken, "
                "numbers as words, without punctuation"
            )


def _can_write(tokenizer: Tokenizer, character: str) -> bool:
    return UNKNOWN not in (tokenizer.tokens[i] for i in tokenizer.encode(character))


def _divide(splits: dict[str, list[Line]]) -> tuple[list[Line], list[Line], str]:
    """Lines to learn from, lines held out, and how these were chosen."""
    for name in ("test", "dev"):
        if name in splits and "train" in splits:
            kept = [n for n in splits if n not in (name, "test")]
            return _all(splits, kept), splits[name], f"split {name!r} of the table"
    lines = _all(splits, list(splits))
    speakers = {line["speaker"] for line in lines}
    if "" not in speakers and len(speakers) >= _FEWEST_SPEAKERS:
        chosen = set(sorted(speakers, key=_digest)[::_ONE_IN])
        how = f"all recordings of {len(chosen)} of the {len(speakers)} speakers"
        held_out = [line for line in lines if line["speaker"] in chosen]
    else:
        held_out, how = _some_of_each_text(lines), "some recordings of each text"
    ids = {line["id"] for line in held_out}
    return [line for line in lines if line["id"] not in ids], held_out, how


def _all(splits: dict[str, list[Line]], names: list[str]) -> list[Line]:
    return [line for name in names for line in splits[name]]


def _some_of_each_text(lines: list[Line]) -> list[Line]:
    by_text = defaultdict(list)
    for line in sorted(lines, key=lambda line: _digest(line["id"])):
        by_text[line["text"]].append(line)
    in_turn = [line for text in sorted(by_text) for line in by_text[text]]
    return in_turn[_ONE_IN // 2 :: _ONE_IN]


def _digest(text: str) -> str:
    """An order that has nothing to do with names, and is the same every time."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
