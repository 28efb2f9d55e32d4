"""LibriSpeech as it is unpacked: LibriSpeech/train-clean-100/19/198/19-198.trans.txt.

Not by `lhotse.recipes` (1.33), which drops the numbers of lines.
"""

from collections.abc import Iterator
from pathlib import Path

from halfbyte.data.source import (
    Found,
    Importer,
    SourceUtterance,
    Split,
    WholeFile,
    listed,
    numbered_lines,
)
from halfbyte.errors import ManifestError


def _root(source: Path) -> Path:
    return source / "LibriSpeech" if (source / "LibriSpeech").is_dir() else source


def _matches(source: Path) -> bool:
    return any(_root(source).glob("*/[0-9]*/[0-9]*/*.trans.txt"))


def _utterances(split: Path) -> Iterator[Found]:
    for transcript in sorted(split.glob("*/*/*.trans.txt")):
        speaker = transcript.parent.parent.name
        for where, line in numbered_lines(transcript):
            key, _, text = line.strip().partition(" ")
            if not key.startswith(transcript.name.removesuffix(".trans.txt")):
                yield ManifestError(f"{where}: {key!r} is no utterance of this chapter")
                continue
            audio = WholeFile((transcript.parent / f"{key}.flac").absolute())
            yield SourceUtterance(where, key, audio, text, speaker)


def _splits(source: Path) -> list[Split]:
    folders = sorted(path for path in _root(source).iterdir() if path.is_dir())
    splits = [listed(folder.name, list(_utterances(folder))) for folder in folders]
    return [split for split in splits if split.num_items]


LIBRISPEECH = Importer(
    "librispeech",
    "LibriSpeech as unpacked, train-clean-100/19/198/19-198.trans.txt",
    _matches,
    _splits,
)
