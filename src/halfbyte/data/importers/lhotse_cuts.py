"""lhotse cut sets: *cuts*.jsonl or .jsonl.gz."""

import json
import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

from halfbyte.data.manifest import json_object
from halfbyte.data.source import (
    Extract,
    Found,
    Importer,
    SourceUtterance,
    Split,
    WholeFile,
    file_identity,
    first_object,
    listed,
    numbered_lines,
)
from halfbyte.errors import ManifestError

_KINDS = ("MonoCut", "MultiCut", "MixedCut")
_RUNS_SOMETHING = ("command", "url")  # kinds of lhotse's AudioSource that we do not follow


def _cut_files(source: Path) -> list[Path]:
    names = ("*.jsonl", "*.jsonl.gz")
    files = [source] if source.is_file() else sorted(p for n in names for p in source.glob(n))
    return [path for path in files if first_object(path).get("type") in _KINDS]


def _name(path: Path) -> str:
    """The name of the split: the file's without suffix and without the word "cuts"."""
    stem = path.name.partition(".jsonl")[0]
    return re.sub(r"^cuts[-_.]?|[-_.]cuts(?=[-_.]|$)", "", stem) or "all"


def _splits(source: Path) -> list[Split]:
    return [listed(_name(path), list(_utterances(path))) for path in _cut_files(source)]


def _utterances(path: Path) -> Iterator[Found]:
    for where, line in numbered_lines(path):
        try:
            fields = json_object(where, line)
            refuse_commands(where, fields)
            yield from cut_utterances(where, _cut(where, fields), path.parent)
        except ManifestError as error:
            yield error


def _cut(where: str, fields: dict[str, Any]) -> Any:
    from lhotse.serialization import deserialize_item

    try:
        return deserialize_item(fields)
    except Exception as error:  # lhotse names no class for what it cannot read
        raise ManifestError(f"{where} is no lhotse cut: {type(error).__name__} {error}") from error


def refuse_commands(where: str, fields: Any) -> None:
    """Raise ManifestError where a recording comes from a command or the network."""
    if isinstance(fields, dict):
        if fields.get("type") in _RUNS_SOMETHING and "source" in fields:
            raise ManifestError(
                f"{where}: its audio is the {fields['type']} {fields['source']!r}; data run "
                "nothing and fetch nothing: write the audio to files"
            )
        fields = list(fields.values())
    for value in fields if isinstance(fields, list) else []:
        refuse_commands(where, value)


def cut_utterances(where: str, cut: Any, folder: Path) -> Iterator[Found]:
    """The supervised stretches of a cut; `folder` is where relative paths start.

    Source of the data model: lhotse (Żelasko et al. 2021, arXiv:2110.12561).
    """
    if not cut.supervisions:
        yield ManifestError(f"{where}: cut {cut.id} has no supervision, so no text")
        return
    several = len(cut.supervisions) > 1
    for part in cut.trim_to_supervisions(keep_overlapping=False) if several else [cut]:
        said = part.supervisions[0]
        if said.text is None:
            yield ManifestError(f"{where}: supervision {said.id} has no text")
            continue
        part = _rooted(part, folder)
        key = said.id if several else part.id
        audio = _whole_file(part) or Extract(_identity(part), partial(_load, part))
        yield SourceUtterance(where, key, audio, said.text, said.speaker or "", part.duration)


def _rooted(cut: Any, folder: Path) -> Any:
    """The cut with relative paths that start at `folder`, unless they are right as they are."""
    paths = _paths(cut)
    is_elsewhere = any(not p.exists() and (folder / p).exists() for p in paths)
    return cut.with_recording_path_prefix(folder) if is_elsewhere else cut


def _paths(cut: Any) -> list[Path]:
    recordings = [t.cut for t in cut.tracks] if hasattr(cut, "tracks") else [cut]
    held = [r.recording for r in recordings if getattr(r, "recording", None) is not None]
    return [Path(s.source) for r in held for s in r.sources if s.type == "file"]


def _whole_file(cut: Any) -> WholeFile | None:
    """The cut's file, if the cut is that file and nothing else."""
    recording = getattr(cut, "recording", None)
    if recording is None or hasattr(cut, "tracks") or recording.transforms:
        return None
    is_whole = cut.start == 0 and abs(cut.duration - recording.duration) < 1e-3
    paths = _paths(cut)
    return WholeFile(paths[0].absolute()) if is_whole and len(paths) == 1 else None


def _identity(cut: Any) -> str:
    files = " ".join(file_identity(path) for path in _paths(cut))
    fields = cut.drop_supervisions().to_dict() if not _is_in_memory(cut) else {"id": cut.id}
    return f"{files} {json.dumps(fields, sort_keys=True, default=str)}"


def _is_in_memory(cut: Any) -> bool:
    return bool(cut.has_recording) and not _paths(cut)


def _load(cut: Any) -> Any:
    samples = cut.load_audio()  # (channels, S)
    return samples.T, cut.sampling_rate


LHOTSE = Importer(
    "lhotse",
    "lhotse cuts, a .jsonl or .jsonl.gz of MonoCut, MultiCut, MixedCut, or a folder with such",
    lambda source: bool(_cut_files(source)),
    _splits,
)
