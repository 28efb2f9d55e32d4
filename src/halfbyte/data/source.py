"""What an importer hands over: utterances of a corpus, their audio still where it lies."""

import gzip
import os
import tarfile
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from halfbyte.audio_file import AudioFile
from halfbyte.data.manifest import json_object
from halfbyte.errors import AudioError, ManifestError

Samples = NDArray[np.float32]


@dataclass(frozen=True)
class WholeFile:
    """A recording that is a file of its own, and stays where it is.

    Args:
        channel: the one to hear, from 1; None for the mean of all.
    """

    path: Path
    channel: int | None = None


@dataclass(frozen=True)
class Extract:
    """A recording without a file of its own: a stretch of a longer one, or inside an archive.

    Args:
        identity: another text where the same audio would not come out again.
        load: samples, (S,) or (S, channels) float32, and their rate in Hz.
    """

    identity: str
    load: Callable[[], tuple[Samples, int]]


@dataclass(frozen=True)
class SourceUtterance:
    """An utterance as its corpus describes it; nothing of its audio has been read yet."""

    where: str  # file and line, for messages
    id: str
    audio: WholeFile | Extract
    text: str
    speaker: str = ""
    claimed_s: float | None = None  # duration that the corpus claims, if it does


Found = SourceUtterance | ManifestError  # a bad line is handed over, not raised: others follow


@dataclass(frozen=True)
class Split:
    """A part of a corpus that becomes one manifest."""

    name: str
    num_items: int
    items: Callable[[], Iterable[Found]]


@dataclass(frozen=True)
class Importer:
    """One corpus layout.

    Args:
        name: as `--format` takes it.
        layout: what it looks like, for the message that nothing was recognised.
        matches: whether a file or folder has this layout; looks at few files.
        splits: its parts. May raise ManifestError where the whole is unusable.
    """

    name: str
    layout: str
    matches: Callable[[Path], bool]
    splits: Callable[[Path], list[Split]]


def listed(name: str, items: Sequence[Found]) -> Split:
    """A split whose utterances are all known."""
    return Split(name, len(items), lambda: items)


def numbered_lines(path: Path) -> Iterator[tuple[str, str]]:
    """The lines of a text file that hold something, each with "file line number".

    Raises:
        ManifestError: the file cannot be read or is not UTF-8.
    """
    try:
        content = gzip.decompress(path.read_bytes()) if _is_gzip(path) else path.read_bytes()
        # Not splitlines: JSON may hold other line separators (U+2028, U+0085) as they are.
        lines = content.decode("utf-8-sig").split("\n")
    except (OSError, EOFError, UnicodeDecodeError, gzip.zlib.error) as error:  # type: ignore[attr-defined]
        raise ManifestError(f"cannot read {path}: {error}") from error
    for number, line in enumerate(lines, 1):
        if line.strip():
            yield f"{path} line {number}", line.rstrip("\r")


def _is_gzip(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(2) == b"\x1f\x8b"


def bad_line(where: str, error: AudioError | ManifestError) -> ManifestError:
    """What is wrong with a line, handed over instead of its utterance; the line is named once."""
    said = str(error)
    return ManifestError(said if said.startswith(where) else f"{where}: {said}")


def first_object(path: Path) -> dict[str, Any]:
    """The JSON object of a file's first line; empty where there is none."""
    try:
        return json_object(*next(numbered_lines(path)))
    except (ManifestError, StopIteration, OSError):
        return {}


def field(fields: dict[str, Any], where: str, *names: str) -> Any:
    """The value of the first of some keys that is there.

    Raises:
        ManifestError: none is.
    """
    for name in names:
        if fields.get(name) is not None:
            return fields[name]
    raise ManifestError(f"{where}: key {names[0]!r} is missing")


def text_field(fields: dict[str, Any], where: str, *names: str) -> str:
    """As `field`, for a value that must be a string."""
    value = field(fields, where, *names)
    if not isinstance(value, str):
        raise ManifestError(f"{where}: {names[0]} is {value!r}; expected a string")
    return value


def seconds(value: Any, where: str, name: str) -> float:
    """A time in seconds, at least 0.

    Raises:
        ManifestError: it is none.
    """
    try:
        time_s = float(value)
    except (TypeError, ValueError):
        time_s = -1.0
    if isinstance(value, bool) or not 0 <= time_s < float("inf"):
        raise ManifestError(f"{where}: {name} is {value!r}; expected seconds")
    return time_s


def find_audio(name: str, bases: Iterable[Path]) -> Path:
    """The file called `name`, relative to the first base that has it; else to the first base."""
    if "\0" in name:
        raise AudioError(f"audio file name {name!r} holds a zero byte")
    candidates = [base / Path(name).expanduser() for base in bases]
    return next((path for path in candidates if path.is_file()), candidates[0]).absolute()


def stretch(
    path: Path, start_s: float, end_s: float | None, where: str, channel: int | None = None
) -> Extract:
    """The part of a recording between two times; to its end without `end_s`.

    Args:
        channel: the one to hear, from 1; None for the mean of all.

    Raises:
        ManifestError: the end is not after the start.
    """
    if end_s is not None and end_s <= start_s:
        raise ManifestError(f"{where}: end {end_s:g} s is not after start {start_s:g} s")

    def load() -> tuple[Samples, int]:
        file = AudioFile(path, channel)
        rate_hz, num_samples = file.sample_rate_hz, file.num_samples or 0
        start = round(start_s * rate_hz)
        stop = num_samples if end_s is None else round(end_s * rate_hz)
        if start >= num_samples or stop > num_samples + rate_hz // 10:
            raise AudioError(
                f"{start_s:g}-{stop / rate_hz:g} s is outside of {path}, "
                f"which is {num_samples / rate_hz:g} s long"
            )
        file.skip(start)
        return _samples(file, stop - start), rate_hz

    heard = "" if channel is None else f" {channel}"
    return Extract(f"{file_identity(path)} {start_s} {end_s}{heard}", load)


def encoded(identity: str, content: Callable[[], bytes]) -> Extract:
    """A recording in any format that is read, held in memory or an archive."""

    def load() -> tuple[Samples, int]:
        with tempfile.NamedTemporaryFile() as copy:
            copy.write(content())
            copy.flush()
            try:
                file = AudioFile(copy.name)
                return _samples(file), file.sample_rate_hz
            except AudioError as error:
                raise AudioError(str(error).replace(copy.name, "its audio")) from None

    return Extract(identity, load)


def _samples(file: AudioFile, most: int | None = None) -> Samples:
    """What is left of a file, or so many samples of it."""
    blocks, held = [np.empty(0, np.float32)], 0
    for block in file:
        blocks.append(np.asarray(block))
        held += len(block)
        if most is not None and held >= most:
            break
    return np.concatenate(blocks)[:most]


@dataclass(frozen=True)
class TarMember:
    """A file inside a tar file."""

    tar: Path
    name: str
    offset_bytes: int
    num_bytes: int

    def read(self) -> bytes:
        """Its content."""
        with self.tar.open("rb") as file:
            file.seek(self.offset_bytes)
            return file.read(self.num_bytes)

    def audio(self) -> Extract:
        """It as a recording."""
        return encoded(f"{file_identity(self.tar)} {self.name} {self.offset_bytes}", self.read)


def tar_members(path: Path) -> dict[str, TarMember]:
    """Files of a plain tar file by name.

    Raises:
        ManifestError: it is missing, damaged or compressed, or holds a name twice.
    """
    try:
        with tarfile.open(path, "r:") as tar:
            files = [m for m in tar if m.isfile()]
    except (OSError, tarfile.TarError) as error:
        raise ManifestError(
            f"cannot read {path} as an uncompressed tar file: {error or 'it is damaged'}"
        ) from error
    members = {m.name: TarMember(path, m.name, m.offset_data, m.size) for m in files}
    if len(members) < len(files):
        name, _ = Counter(m.name for m in files).most_common(1)[0]
        raise ManifestError(f"{path} holds {name} twice; write it anew with each file once")
    return members


def file_identity(path: Path) -> str:
    """Another text where the file is another: path, size and time of change."""
    try:
        status = os.stat(path)
    except OSError:
        return str(path)
    return f"{path} {status.st_size} {status.st_mtime_ns}"
