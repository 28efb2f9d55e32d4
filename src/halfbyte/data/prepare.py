"""Any corpus to manifests, checked: what `halfbyte prepare` does."""

import hashlib
import io
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from halfbyte.audio_file import AudioFile
from halfbyte.data.report import Report
from halfbyte.data.source import Extract, Importer, SourceUtterance, Split, WholeFile
from halfbyte.errors import AudioError, ManifestError, UsageError
from halfbyte.files import write_whole
from halfbyte.progress import progress_bar

AUDIO_FOLDER = "audio"
_TAIL_S = 0.1  # decoded of every file, so that one that was cut short is found


@dataclass(frozen=True)
class PrepareOptions:
    """How a corpus is prepared.

    Args:
        skip_bad: go on after a bad line and count it, instead of stopping there.
        lower_case: write texts in lower case.
        characters: those that texts may hold besides the space; empty: letters and apostrophe.
    """

    skip_bad: bool = False
    lower_case: bool = False
    characters: str = ""


def prepare(
    source: Path, folder: Path, importer: Importer, options: PrepareOptions | None = None
) -> Report:
    """Write one manifest for each split of a corpus.

    Recordings that are files stay where they are. Stretches of long recordings and audio in
    archives become FLAC files in `folder`/audio, each whole or not at all; those that an
    interrupted call has written are not written again.

    Raises:
        ManifestError: a bad line without `skip_bad`, or nothing but bad lines.
        UsageError: the manifests would be written among the source's own files.
    """
    if folder.resolve() in (source.resolve(), source.resolve().parent):
        raise UsageError(f"{folder} holds the source; choose another folder for the manifests")
    options = options or PrepareOptions()
    report = Report(str(source), importer.name, options.characters)
    for split in importer.splits(source):
        _prepare_split(split, folder, options, report)
    if not report.num_utterances:
        reason = f"; the first: {report.skipped[0]}" if report.skipped else ""
        raise ManifestError(f"{source} gives no utterance: {len(report.skipped)} bad lines{reason}")
    report.check_speakers()
    return report


def _prepare_split(split: Split, folder: Path, options: PrepareOptions, report: Report) -> None:
    name = _file_name(split.name)
    audio_folder = folder / AUDIO_FOLDER / name
    for partial in audio_folder.glob(".*"):  # of a call that was killed
        partial.unlink()
    lines = []
    for found in progress_bar(split.items(), name, split.num_items):
        try:
            if isinstance(found, ManifestError):
                raise found
            line = _line(found, audio_folder, options)
            report.add(name, line, found)
        except ManifestError as error:
            if not options.skip_bad:
                raise
            report.skipped.append(str(error))
            continue
        lines.append(json.dumps(_relative(line, folder), ensure_ascii=False))
    if lines:
        write_whole(folder / f"{name}.jsonl", ("\n".join(lines) + "\n").encode())


def _line(found: SourceUtterance, audio_folder: Path, options: PrepareOptions) -> dict[str, Any]:
    """The manifest line of an utterance, its audio written if it has no file."""
    try:
        path = _file_of(found.audio, found.id, audio_folder)
        channel = found.audio.channel if isinstance(found.audio, WholeFile) else None
        duration_s = measured_s(path, channel)
    except AudioError as error:
        raise ManifestError(f"{found.where}: {error}") from error
    text = " ".join(found.text.split())
    return {
        "id": found.id,
        "audio_filepath": str(path),
        "duration": round(duration_s, 4),
        "text": text.lower() if options.lower_case else text,
        "speaker": found.speaker,
    } | ({} if channel is None else {"channel": channel})


def _relative(line: dict[str, Any], folder: Path) -> dict[str, Any]:
    """The line with the audio's path relative to the manifests, if it lies among them."""
    path, root = Path(line["audio_filepath"]), folder.absolute()
    return {**line, "audio_filepath": str(path.relative_to(root))} if root in path.parents else line


def _file_of(audio: WholeFile | Extract, key: str, folder: Path) -> Path:
    """The file of a recording; written if it has none, unless an earlier call wrote it."""
    if isinstance(audio, WholeFile):
        return audio.path
    digest = hashlib.sha256(audio.identity.encode("utf-8", "surrogatepass")).hexdigest()[:12]
    path = folder.absolute() / f"{_file_name(key)[:100]}-{digest}.flac"
    if not path.exists():
        samples, rate_hz = audio.load()
        write_whole(path, _as_flac(samples, rate_hz))
    return path


def _as_flac(samples: np.ndarray, rate_hz: int) -> bytes:
    """One channel of 16 bits; (S,) or (S, channels) float32."""
    mono = samples.mean(axis=1) if samples.ndim == 2 else samples
    if mono.size == 0:
        raise AudioError("its audio holds no samples")
    if not np.isfinite(mono).all():
        raise AudioError("its audio holds NaN or infinite samples")
    file = io.BytesIO()
    soundfile.write(file, mono, rate_hz, format="FLAC", subtype="PCM_16")
    return file.getvalue()


def measured_s(path: Path, channel: int | None = None) -> float:
    """Duration of a recording. Its end is decoded, its middle is not.

    Raises:
        AudioError: missing, empty, cut short, no audio or without the channel.
    """
    if not path.is_file():
        raise AudioError(f"audio {path} is missing")
    file = AudioFile(path, channel)
    num_samples = file.num_samples or 0
    num_tail = min(num_samples, max(1, round(_TAIL_S * file.sample_rate_hz)))
    file.skip(num_samples - num_tail)
    if file.is_cut_short or sum(len(block) for block in file) < num_tail:
        raise AudioError(f"audio {path} is cut short")
    return num_samples / file.sample_rate_hz


def _file_name(name: str) -> str:
    """A name that is safe as a file's on every system."""
    return re.sub(r"[^\w.-]+", "_", name).lstrip(".") or "_"
