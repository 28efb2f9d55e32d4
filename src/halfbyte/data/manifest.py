"""Manifests: one JSON object a line, one line an utterance."""

import json
import os
from dataclasses import dataclass
from pathlib import Path

from halfbyte.errors import ManifestError


@dataclass(frozen=True)
class Utterance:
    """A recording and what is said in it."""

    id: str
    audio_path: Path
    text: str  # empty: nothing is said
    duration_s: float
    speaker: str


def read_manifest(path: str | os.PathLike[str]) -> list[Utterance]:
    """Read a manifest.

    Each line is a JSON object with `audio_filepath` (relative to the manifest), `text`,
    `duration` in seconds and, if known, `id` and `speaker`; other keys are left alone.

    Raises:
        ManifestError: the file is missing or empty, or a line is not such an object.
    """
    path = Path(path)
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ManifestError(f"cannot read manifest {path}: {error}") from error
    utterances = [_utterance(path, i, line) for i, line in enumerate(lines, 1) if line.strip()]
    if not utterances:
        raise ManifestError(f"manifest {path} is empty; expected one JSON object a line")
    return utterances


def _utterance(path: Path, line_number: int, line: str) -> Utterance:
    try:
        fields = json.loads(line)
        audio_path = path.parent / fields["audio_filepath"]
        text, duration_s = fields["text"], float(fields["duration"])
        if not isinstance(text, str) or not duration_s > 0:
            raise ValueError("text must be a string and duration a positive number")
    except KeyError as error:
        raise ManifestError(f"{path} line {line_number}: key {error} is missing") from error
    except (ValueError, TypeError) as error:
        raise ManifestError(f"{path} line {line_number}: {error}") from error
    return Utterance(
        str(fields.get("id", audio_path.stem)),
        audio_path,
        text,
        duration_s,
        str(fields.get("speaker", "")),
    )
