"""NeMo manifests, also with their audio in tar files; our own manifests have the same form."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from halfbyte.data.manifest import channel_field, json_object
from halfbyte.data.source import (
    Found,
    Importer,
    SourceUtterance,
    Split,
    TarMember,
    WholeFile,
    bad_line,
    find_audio,
    first_object,
    listed,
    numbered_lines,
    seconds,
    stretch,
    tar_members,
    text_field,
)
from halfbyte.errors import AudioError, ManifestError

_AUDIO_KEY = "audio_filepath"
Shards = dict[int, dict[str, TarMember]]


def _manifests(source: Path) -> list[Path]:
    files = (
        [source] if source.is_file() else sorted([*source.glob("*.json"), *source.glob("*.jsonl")])
    )
    return [path for path in files if _AUDIO_KEY in first_object(path)]


def _splits(source: Path) -> list[Split]:
    return [listed(path.stem, list(_utterances(path))) for path in _manifests(source)]


def _utterances(path: Path) -> Iterator[Found]:
    shards: Shards = {}
    for where, line in numbered_lines(path):
        try:
            yield _utterance(where, json_object(where, line), path.parent, shards)
        except (AudioError, ManifestError) as error:
            yield bad_line(where, error)


def _utterance(where: str, fields: dict[str, Any], folder: Path, shards: Shards) -> SourceUtterance:
    name = text_field(fields, where, _AUDIO_KEY)
    text = text_field(fields, where, "text")
    claimed_s = None
    if fields.get("duration") is not None:
        claimed_s = seconds(fields["duration"], where, "duration")
    offset, channel = fields.get("offset"), channel_field(fields, where)
    if "shard_id" in fields:
        if channel is not None:
            raise ManifestError(f"{where}: channel cannot be chosen of audio in tar files")
        audio = _member(where, fields["shard_id"], name, folder, shards).audio()
    elif offset:
        start_s = seconds(offset, where, "offset")
        end_s = start_s + claimed_s if claimed_s is not None else None
        audio = stretch(find_audio(name, [folder]), start_s, end_s, where, channel)
    else:
        audio = WholeFile(find_audio(name, [folder]), channel)  # type: ignore[assignment]
    key = str(fields.get("id") or Path(name).stem)
    if offset and "id" not in fields:
        key = f"{key}-{round(float(offset) * 1000)}"
    return SourceUtterance(where, key, audio, text, str(fields.get("speaker", "")), claimed_s)


def _member(where: str, shard_id: Any, name: str, folder: Path, shards: Shards) -> TarMember:
    if not isinstance(shard_id, int):
        raise ManifestError(f"{where}: shard_id is {shard_id!r}; expected a whole number")
    tar = folder / f"audio_{shard_id}.tar"
    if shard_id not in shards:
        shards[shard_id] = tar_members(tar)
    if name not in shards[shard_id]:
        raise ManifestError(f"{where}: {name} is not in {tar}")
    return shards[shard_id][name]


NEMO = Importer(
    "nemo",
    f"JSON lines with {_AUDIO_KEY}, text and duration, with audio_0.tar … if tarred",
    lambda source: bool(_manifests(source)),
    _splits,
)
