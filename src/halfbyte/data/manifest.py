"""Manifests: one JSON object a line, one line an utterance."""

import json
import math
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from halfbyte.errors import ManifestError, UsageError

# What a duration may be off.
DURATION_TOLERANCE_S, DURATION_TOLERANCE = 0.1, 0.02


@dataclass(frozen=True)
class Interval:
    """A stretch of a recording and what is heard in it."""

    start_s: float
    end_s: float
    label: str


@dataclass(frozen=True)
class Utterance:
    """A recording and what is heard in it: words, intervals with labels, or both."""

    id: str
    audio_path: Path
    text: str  # empty: nothing is said
    duration_s: float
    speaker: str
    intervals: tuple[Interval, ...] = ()
    channel: int | None = None  # to hear, from 1; None for the mean of all


def read_manifest(
    path: str | os.PathLike[str],
    skipped: list[ManifestError] | None = None,
    label_key: str = "text",
) -> list[Utterance]:
    """Read a manifest.

    Each line is a JSON object with `audio_filepath` (relative to the manifest), `duration` in
    seconds, the key that the reader learns from and, if known, `id`, `speaker` and the `channel`
    to hear, from 1; other keys are left alone.

    Args:
        skipped: takes the mistakes of bad lines, which are then left out.
        label_key: `text`, or `intervals` (a list of {"start", "end", "label"}, in seconds).

    Raises:
        ManifestError: the file is missing or empty; or, without `skipped`, a line is not such
            an object or its audio is not there.
    """
    path = Path(path)
    try:
        # Not splitlines: JSON may hold other line separators (U+2028, U+0085) as they are.
        lines = path.read_text(encoding="utf-8-sig").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise ManifestError(f"cannot read manifest {path}: {error}") from error
    utterances, bad = [], []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            utterances.append(_utterance(path, number, line, label_key))
        except ManifestError as error:
            if skipped is None:
                raise
            bad.append(error)
    if not utterances:
        reason = f"holds only bad lines; the first: {bad[0]}" if bad else "is empty"
        raise ManifestError(f"manifest {path} {reason}; expected one JSON object a line")
    if skipped is not None:
        skipped += bad
    return utterances


def json_object(where: str, line: str) -> dict[str, Any]:
    """The JSON object of a line.

    Raises:
        ManifestError: it is none.
    """
    try:
        fields = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise ManifestError(f"{where} is not JSON: {error}") from error
    if not isinstance(fields, dict):
        raise ManifestError(f"{where} is a {type(fields).__name__}; expected a JSON object")
    return fields


def channel_field(fields: dict[str, Any], where: str) -> int | None:
    """The key `channel` of a line, counted from 1; None if it is not there.

    Raises:
        ManifestError: it is no whole number, or below 1.
    """
    value = fields.get("channel")
    if value is not None and (type(value) is not int or value < 1):
        raise ManifestError(f"{where}: channel is {value!r}; expected a whole number, from 1")
    return value


def is_duration(claimed_s: float, measured_s: float) -> bool:
    """Whether a claimed duration is near enough to the measured one."""
    tolerance_s = max(DURATION_TOLERANCE_S, DURATION_TOLERANCE * measured_s)
    return abs(claimed_s - measured_s) <= tolerance_s


def worded_manifests(folder: Path, split: str) -> list[Path]:
    """Manifests `*/SPLIT.jsonl` with texts; others hold labels of frames, or speakers."""

    def has_texts(path: Path) -> bool:
        with path.open(encoding="utf-8-sig") as lines:
            return '"text"' in next(lines, "")

    return [path for path in sorted(folder.glob(f"*/{split}.jsonl")) if has_texts(path)]


def evenly_spread(utterances: list[Utterance], count: int) -> list[Utterance]:
    """So many of the utterances, at even distances, or all where there are fewer.

    >>> evenly_spread(list(range(10)), 4)
    [0, 2, 5, 7]

    Raises:
        UsageError: the count is below 1.
    """
    if count < 1:
        raise UsageError(f"{count} utterances were asked for; expected 1 or more")
    count = min(count, len(utterances))
    return [utterances[i * len(utterances) // count] for i in range(count)]


def _utterance(path: Path, line_number: int, line: str, label_key: str) -> Utterance:
    where = f"{path} line {line_number}"
    fields = json_object(where, line)
    audio_path = path.parent / _string(fields, "audio_filepath", where)
    _value(fields, label_key, where)
    utterance = Utterance(
        str(fields.get("id", audio_path.stem)),
        audio_path,
        _string({"text": "", **fields}, "text", where),
        _duration_s(fields, where),
        str(fields.get("speaker", "")),
        _intervals(fields.get("intervals", []), where),
        channel_field(fields, where),
    )
    if not _is_file(audio_path):
        raise ManifestError(f"{where}: audio {audio_path} is missing")
    return utterance


def _intervals(value: Any, where: str) -> tuple[Interval, ...]:
    try:
        found = tuple(
            Interval(float(one["start"]), float(one["end"]), str(one["label"])) for one in value
        )
        if not all(0 <= one.start_s <= one.end_s < math.inf for one in found):
            raise ValueError
    except (TypeError, KeyError, ValueError) as error:
        raise ManifestError(
            f"{where}: intervals is {value!r}; expected [{{start, end, label}}, …] in seconds"
        ) from error
    return found


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):  # a name that is too long, or holds a zero byte
        return False


def _value(fields: dict[str, Any], key: str, where: str) -> Any:
    if key not in fields:
        raise ManifestError(f"{where}: key {key!r} is missing")
    return fields[key]


def _string(fields: dict[str, Any], key: str, where: str) -> str:
    value = _value(fields, key, where)
    if not isinstance(value, str):
        raise ManifestError(f"{where}: {key} is {value!r}; expected a string")
    return value


def _duration_s(fields: dict[str, Any], where: str) -> float:
    value = _value(fields, "duration", where)
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not is_number or not 0 < value < math.inf:
        raise ManifestError(f"{where}: duration is {value!r}; expected seconds, above zero")
    return float(value)
