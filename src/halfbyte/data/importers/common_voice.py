"""Common Voice as it is unpacked: cv-corpus-17.0/en/clips/*.mp3, train.tsv, dev.tsv, test.tsv.

Its other tables (validated.tsv, other.tsv …) hold these clips again or unchecked ones; each can be
prepared by its own name.
"""

from pathlib import Path

from halfbyte.data.importers.table import table_rows
from halfbyte.data.source import Importer, Split, listed

_SPLITS = ("train", "dev", "test")


def _folders(source: Path) -> list[Path]:
    """Folders of a language each."""
    found = [source, *sorted(source.glob("*/"))] if source.is_dir() else []
    return [f for f in found if (f / "clips").is_dir() and (f / "validated.tsv").is_file()]


def _splits(source: Path) -> list[Split]:
    splits = []
    for folder in _folders(source):
        language = "" if folder == source else f"{folder.name}-"
        for name in _SPLITS:
            if (folder / f"{name}.tsv").is_file():
                items = [found for _, found in table_rows(folder / f"{name}.tsv")]
                splits.append(listed(language + name, items))
    return [split for split in splits if split.num_items]


COMMON_VOICE = Importer(
    "commonvoice",
    "Common Voice as unpacked, en/clips/*.mp3, en/validated.tsv, en/train.tsv …",
    lambda source: bool(_folders(source)),
    _splits,
)
