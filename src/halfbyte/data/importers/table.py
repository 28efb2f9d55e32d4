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
    find_audio,
    listed,
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
_FOLDERS = ("", "clips", "wavs", "audio", "wav")  # of recordings, relative to the table


def _tables(source: Path) -> list[Path]:
    if source.is_file():
        return [source] if source.suffix.lower() in (".csv", ".tsv") else []
    return sorted([*source.glob("*.csv"), *source.glob("*.tsv")])


def _splits(source: Path) -> list[Split]:
    splits: dict[str, list[Found]] = {}
    for path in _tables(source):
        for name, found in _rows(path):
            splits.setdefault(name, []).append(found)
    return [listed(name, items) for name, items in splits.items()]


def _columns(path: Path, header: list[str]) -> dict[str, str]:
    """What a column is -> its name in this table."""
    plain = {name.strip().lower(): name for name in header}
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


def _rows(path: Path) -> Iterator[tuple[str, Found]]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            delimiter = _delimiter(path, file.readline())
            file.seek(0)
            # Tab-separated tables (Common Voice) hold quotes that quote nothing.
            is_plain = delimiter == "\t"
            reader = csv.DictReader(
                file,
                delimiter=delimiter,
                quoting=csv.QUOTE_NONE if is_plain else csv.QUOTE_MINIMAL,
            )
            columns = _columns(path, list(reader.fieldnames or []))
            for row in reader:
                where = f"{path} line {reader.line_num}"
                values = {meaning: row.get(name) for meaning, name in columns.items()}
                yield (values.get("split") or path.stem), _utterance(where, values, path.parent)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ManifestError(f"cannot read {path}: {error}") from error


def _utterance(where: str, values: dict[str, str | None], folder: Path) -> Found:
    name, text = values["audio"], values["text"]
    if not name or text is None:
        return ManifestError(f"{where}: the row is cut short, or names no audio")
    try:
        claimed = values.get("duration")
        claimed_s = seconds(claimed, where, "duration") if claimed else None
        path = find_audio(name, [folder / f for f in _FOLDERS])
    except AudioError as error:
        return ManifestError(f"{where}: {error}")
    except ManifestError as error:
        return error
    key = values.get("id") or str(Path(name).with_suffix(""))
    return SourceUtterance(
        where, key, WholeFile(path), text, values.get("speaker") or "", claimed_s
    )


TABLE = Importer(
    "csv",
    "a folder of recordings with a .csv or .tsv whose first line names columns (audio, text, …)",
    lambda source: bool(_tables(source)),
    _splits,
)
