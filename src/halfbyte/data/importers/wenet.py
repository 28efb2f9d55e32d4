"""WeNet lists: data.list with a JSON object a line (raw), or with a tar file a line (shards)."""

from collections.abc import Iterator
from pathlib import Path

from halfbyte.data.manifest import json_object
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

LIST = "data.list"
_AUDIO = (".wav", ".flac", ".mp3", ".ogg", ".opus")


def _lists(source: Path) -> list[Path]:
    if source.is_file():
        return [source] if source.suffix == ".list" or "wav" in first_object(source) else []
    return [source / LIST] if (source / LIST).is_file() else sorted(source.glob(f"*/{LIST}"))


def _splits(source: Path) -> list[Split]:
    splits = []
    for path in _lists(source):
        name = path.absolute().parent.name if path.name == LIST else path.stem
        splits.append(listed(name, list(_utterances(path))))
    return splits


def _utterances(path: Path) -> Iterator[Found]:
    bases = [path.parent, *list(path.absolute().parents)[1:4], Path.cwd()]
    for where, line in numbered_lines(path):
        try:
            if line.lstrip().startswith("{"):
                yield _raw(where, line, bases)
            else:
                yield from _shard(find_audio(line.strip(), bases))
        except (AudioError, ManifestError) as error:
            yield bad_line(where, error)


def _raw(where: str, line: str, bases: list[Path]) -> SourceUtterance:
    fields = json_object(where, line)
    key, wav = text_field(fields, where, "key"), text_field(fields, where, "wav")
    text = text_field(fields, where, "txt")
    path = find_audio(wav, bases)
    speaker = str(fields.get("speaker", ""))
    if "start" not in fields:
        return SourceUtterance(where, key, WholeFile(path), text, speaker)
    start_s = seconds(fields["start"], where, "start")
    end_s = seconds(fields.get("end"), where, "end")
    return SourceUtterance(where, key, stretch(path, start_s, end_s, where), text, speaker)


def _shard(tar: Path) -> Iterator[Found]:
    """Pairs of `key.wav` and `key.txt`."""
    members = tar_members(tar)
    for name, member in members.items():
        key, dot, suffix = name.rpartition(".")
        if dot + suffix.lower() not in _AUDIO:
            continue
        where, text = f"{tar} member {name}", members.get(f"{key}.txt")
        if text is None:
            yield ManifestError(f"{where}: there is no {key}.txt")
            continue
        yield _member(where, key, member, text)


def _member(where: str, key: str, audio: TarMember, text: TarMember) -> Found:
    try:
        said = text.read().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        return ManifestError(f"{where}: {text.name} is not UTF-8: {error}")
    return SourceUtterance(where, key, audio.audio(), said)


WENET = Importer(
    "wenet",
    f"a {LIST} of JSON objects (key, wav, txt) or of tar files, or a folder with it",
    lambda source: bool(_lists(source)),
    _splits,
)
