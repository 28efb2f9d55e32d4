"""A folder of recordings and a CSV or TSV file beside them, whose columns are found by name."""

import csv
from collections.abc import Iterator
from pathlib import Path

from halfbyte.data.source import (
    Found,
    Importer,
    SourceUtterance,
    Split,
    WholeFile,
    bad_line,
    find_audio,
    listed,
    numbered_lines,
    seconds,
)
from halfbyte.errors import AudioError, ManifestError

COLUMNS = {  # what a column is -> the names that it may have, compared without case
    "audio": ("audio", "audio_filepath", "file", "filename", "file_name", "path", "wav", "clip"),
    "text": ("text", "transcript", "transcription", "sentence", "words", "word", "label"),
    "speaker": ("speaker", "speaker_id", "spk", "client_id"),
    "id": ("id", "key", "utterance", "utt_id"),
    "duration": ("duration", "duration_s", "seconds"),
    "split": ("split", "subset", "set"),
}
_NEEDED = ("audio", "text")
_QUOTE_NOTHING = "\t|"  # separators of tables whose quotation marks are part of the text
_FOLDERS = ("", "clips", "wavs", "audio", "wav")  # of recordings, relative to the table


def _tables(source: Path) -> list[Path]:
    if source.is_file():
        return [source] if source.suffix.lower() in (".csv", ".tsv") else []
    return sorted([*source.glob("*.csv"), *source.glob("*.tsv")])


def _splits(source: Path) -> list[Split]:
    splits: dict[str, list[Found]] = {}
    for path in _tables(source):
        for name, found in table_rows(path):
            splits.setdefault(name, []).append(found)
    return [listed(name, items) for name, items in splits.items()]


def _columns(path: Path, header: list[str]) -> dict[str, str]:
    """What a column is -> its name in this table."""
    plain = {name.strip().lower(): name for name in header}
    twice = {name for name in header if name and header.count(name) > 1}
    if twice:
        raise ManifestError(f"{path} line 1: two columns are called {min(twice)!r}; rename one")
    found = {}
    for meaning, names in COLUMNS.items():
        name = next((n for n in names if n in plain), None)
        if name is None and meaning in _NEEDED:
            raise ManifestError(
                f"{path} line 1: no column for the {meaning} among {', '.join(header) or 'none'}; "
                f"call it {names[0]!r}"
            )
        if name is not None:
            found[meaning] = plain[name]
    return found


def _delimiter(path: Path, first_line: str) -> str:
    return "\t" if path.suffix.lower() == ".tsv" else max(",;\t|", key=first_line.count)


def table_rows(path: Path) -> Iterator[tuple[str, Found]]:
    """The utterances of a table, each with the name of its split.

    Raises:
        ManifestError: the file cannot be read, or lacks a column.
    """
    lines = numbered_lines(path)
    _, first = next(lines, ("", ""))
    delimiter = _delimiter(path, first)
    header = _fields(f"{path} line 1", first, delimiter)
    columns = _columns(path, header)
    for where, line in lines:
        split = path.stem
        try:
            values = _values(where, _fields(where, line, delimiter), header, columns)
            split = values.get("split") or split
            found: Found = _utterance(where, values, path.parent)
        except (AudioError, ManifestError) as error:
            found = bad_line(where, error)
        yield split, found


def _fields(where: str, line: str, delimiter: str) -> list[str]:
    """The fields of a line. One line is one row, so that no quotation mark swallows others."""
    if delimiter in _QUOTE_NOTHING:
        return line.split(delimiter)
    try:
        return next(csv.reader([line], delimiter=delimiter, strict=True), [])
    except csv.Error as error:
        raise ManifestError(
            f"{where}: a quotation mark is not closed, or does not stand around a whole field "
            f'({error}); write "" for one inside a quoted field, and each row on one line'
        ) from error


def _values(
    where: str, row: list[str], header: list[str], columns: dict[str, str]
) -> dict[str, str]:
    """What each column says in a row."""
    if any(row[len(header) :]):
        raise ManifestError(
            f"{where} has {len(row)} fields, the first line names {len(header)}; put a text that "
            "holds the separator in quotation marks"
        )
    named = dict(zip(header, row, strict=False))
    return {m: named[name] for m, name in columns.items() if name in named}


def _utterance(where: str, values: dict[str, str], folder: Path) -> SourceUtterance:
    name = values.get("audio")
    if not name or "text" not in values:
        raise ManifestError(f"{where}: the row is cut short, or names no audio")
    claimed = values.get("duration")
    claimed_s = seconds(claimed, where, "duration") if claimed else None
    audio = WholeFile(find_audio(name, [folder / f for f in _FOLDERS]))
    key = values.get("id") or str(Path(name).with_suffix(""))
    return SourceUtterance(
        where, key, audio, values["text"], values.get("speaker") or "", claimed_s
    )


TABLE = Importer(
    "csv",
    "a folder of recordings with a .csv or .tsv whose first line names columns (audio, text, …)",
    lambda source: bool(_tables(source)),
    _splits,
)
