"""Datasets that the Hugging Face library wrote with `save_to_disk`: folders of Arrow files."""

import json
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

from halfbyte.data.importers.table import COLUMNS
from halfbyte.data.source import (
    Extract,
    Found,
    Importer,
    SourceUtterance,
    Split,
    WholeFile,
    encoded,
    file_identity,
    find_audio,
)
from halfbyte.errors import AudioError, ManifestError

_DICT, _STATE, _INFO = "dataset_dict.json", "state.json", "dataset_info.json"
Features = dict[str, dict[str, Any]]


def _folders(source: Path) -> list[Path]:
    if (source / _DICT).is_file():
        return [source / name for name in _json(source / _DICT).get("splits", [])]
    return [source] if (source / _STATE).is_file() and (source / _INFO).is_file() else []


def _json(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ManifestError(f"cannot read {path}: {error}") from error
    if not isinstance(value, dict):
        raise ManifestError(f"{path} holds a {type(value).__name__}; expected a JSON object")
    return value


def _splits(source: Path) -> list[Split]:
    return [_split(folder) for folder in _folders(source)]


def _split(folder: Path) -> Split:
    columns = _columns(folder)
    files = [folder / f["filename"] for f in _json(folder / _STATE).get("_data_files", [])]
    num_rows = sum(batch.num_rows for path in files for batch in _batches(path))
    name = _json(folder / _STATE).get("_split") or folder.absolute().name
    return Split(str(name), num_rows, partial(_utterances, files, columns))


def _columns(folder: Path) -> dict[str, tuple[str, dict[str, Any]]]:
    """What a column is -> its name and its feature; audio is found by its type first."""
    features: Features = _json(folder / _INFO).get("features") or {}
    found = {}
    for meaning, names in COLUMNS.items():
        typed = [n for n, f in features.items() if f.get("_type") == "Audio"]
        candidates = [*(typed if meaning == "audio" else []), *names]
        name = next((n for n in candidates if n in features), None)
        if name is not None:
            found[meaning] = (name, features[name])
        elif meaning in ("audio", "text"):
            raise ManifestError(
                f"{folder}: no column for the {meaning} among {', '.join(features)}; "
                f"rename one to {names[0]!r}"
            )
    return found


def _batches(path: Path) -> Iterator[Any]:
    """Record batches of an Arrow stream, mapped and not copied."""
    import pyarrow

    try:
        with pyarrow.memory_map(str(path)) as file, pyarrow.ipc.open_stream(file) as stream:
            yield from stream
    except (OSError, pyarrow.ArrowException) as error:
        raise ManifestError(f"cannot read {path}: {error}") from error


def _utterances(files: list[Path], columns: dict[str, tuple[str, Any]]) -> Iterator[Found]:
    names = [name for name, _ in columns.values()]
    for path in files:
        number = 0
        for batch in _batches(path):
            rows = batch.select(names)
            for i in range(rows.num_rows):
                number += 1
                row = {name: rows[name][i].as_py() for name in names}
                values = {m: _plain(row[name], f) for m, (name, f) in columns.items()}
                yield _utterance(path, number, values)


def _plain(value: Any, feature: dict[str, Any]) -> Any:
    """The value; of a class label its name."""
    if feature.get("_type") == "ClassLabel" and isinstance(value, int):
        names = feature.get("names", [])
        return names[value] if 0 <= value < len(names) else None
    return value


def _utterance(path: Path, number: int, values: dict[str, Any]) -> Found:
    where = f"{path} row {number}"
    text = values["text"]
    if not isinstance(text, str):
        return ManifestError(f"{where}: text is {text!r}; expected a string")
    try:
        audio, name = _audio(path, where, values["audio"])
    except AudioError as error:
        return ManifestError(f"{where}: {error}")
    except ManifestError as error:
        return error
    key = values.get("id")
    key = str(key) if key is not None else f"{Path(name).stem or path.stem}-{number}"
    return SourceUtterance(where, key, audio, text, str(values.get("speaker") or ""))


def _audio(path: Path, where: str, value: Any) -> tuple[WholeFile | Extract, str]:
    """The recording and the name of its file; bytes in the table come before a file."""
    name = value.get("path") if isinstance(value, dict) else value
    content = value.get("bytes") if isinstance(value, dict) else None
    if content is not None:
        return encoded(f"{file_identity(path)} {where}", lambda: content), name or ""
    if not isinstance(name, str) or not name:
        raise ManifestError(f"{where}: its audio has neither bytes nor a path")
    return WholeFile(find_audio(name, [path.parent, path.parent.parent, Path.cwd()])), name


HUGGINGFACE = Importer(
    "huggingface",
    f"what save_to_disk wrote: {_DICT}, or {_INFO} and {_STATE}",
    lambda source: source.is_dir() and bool(_folders(source)),
    _splits,
)
