"""AISHELL-1 as it is unpacked: data_aishell/wav/train/S0002/*.wav and its one transcript.

Not by `lhotse.recipes` (1.33), which drops the numbers of lines, and texts without audio unsaid.
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

TRANSCRIPT = Path("transcript", "aishell_transcript_v0.8.txt")


def _root(source: Path) -> Path:
    return source / "data_aishell" if (source / "data_aishell").is_dir() else source


def _splits(source: Path) -> list[Split]:
    root = _root(source)
    bad: list[Found] = []
    texts: dict[str, tuple[str, str]] = {}
    for key, found in _texts(root / TRANSCRIPT):
        if texts.setdefault(key, found) is not found:
            bad.append(ManifestError(f"{found[0]}: {key!r} is the key of an earlier line, too"))
    folders = sorted(path for path in (root / "wav").iterdir() if path.is_dir())
    splits = [listed(folder.name, list(_utterances(folder, texts))) for folder in folders]
    if not any(split.num_items for split in splits):
        raise ManifestError(
            f"{root / 'wav'} holds no train/S0002/*.wav; unpack the archives of the speakers in it"
        )
    # What is left has no audio in any split.
    bad += [ManifestError(f"{where}: {key} has no audio") for key, (where, _) in texts.items()]
    if bad:
        first = splits[0]
        splits[0] = listed(first.name, [*first.items(), *bad])
    return splits


def _texts(path: Path) -> Iterator[tuple[str, tuple[str, str]]]:
    for where, line in numbered_lines(path):
        key, _, text = line.strip().partition(" ")
        yield key, (where, "".join(text.split()))  # words are written without spaces


def _utterances(split: Path, texts: dict[str, tuple[str, str]]) -> Iterator[Found]:
    """Utterances of a split, whose texts are taken out of `texts`.

    A recording without a transcript is left out: the corpus has some, by its authors' choice.
    """
    for path in sorted(split.glob("*/*.wav")):
        if path.stem in texts:
            where, text = texts.pop(path.stem)
            audio = WholeFile(path.absolute())
            yield SourceUtterance(where, path.stem, audio, text, path.parent.name)


AISHELL = Importer(
    "aishell",
    f"AISHELL-1 as unpacked, wav/train/S0002/*.wav and {TRANSCRIPT}",
    lambda source: (_root(source) / TRANSCRIPT).is_file(),
    _splits,
)
