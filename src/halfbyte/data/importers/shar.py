"""lhotse Shar: cuts.000000.jsonl.gz beside recording.000000.tar, whose members are the cuts' audio.

Read here and not by lhotse, whose reader decodes every recording on the way to the next one.
"""

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

from halfbyte.data.manifest import json_object
from halfbyte.data.source import (
    Extract,
    Found,
    Importer,
    Samples,
    SourceUtterance,
    Split,
    TarMember,
    listed,
    numbered_lines,
    seconds,
    tar_members,
    text_field,
)
from halfbyte.errors import AudioError, ManifestError


def _shards(folder: Path) -> list[tuple[Path, Path]]:
    """Pairs of cuts and recordings."""
    pairs = []
    for cuts in sorted(folder.glob("cuts.*.jsonl*")):
        tar = folder / f"recording.{cuts.name.split('.')[1]}.tar"
        if tar.is_file():
            pairs.append((cuts, tar))
    return pairs


def _folders(source: Path) -> list[Path]:
    if not source.is_dir():
        return []
    folders = [source, *sorted(path for path in source.iterdir() if path.is_dir())]
    return [folder for folder in folders if _shards(folder)]


def _splits(source: Path) -> list[Split]:
    return [listed(f.absolute().name, list(_utterances(f))) for f in _folders(source)]


def _utterances(folder: Path) -> Iterator[Found]:
    for cuts, tar in _shards(folder):
        try:
            members = tar_members(tar)
        except ManifestError as error:
            yield error
            continue
        by_stem = {name.rpartition(".")[0]: m for name, m in members.items() if _is_audio(name)}
        for where, line in numbered_lines(cuts):
            try:
                yield from _cut(where, json_object(where, line), tar, by_stem)
            except ManifestError as error:
                yield error


def _is_audio(name: str) -> bool:
    return not name.endswith((".json", ".nodata", ".nometa"))


def _cut(
    where: str, fields: dict[str, Any], tar: Path, by_stem: dict[str, TarMember]
) -> Iterator[Found]:
    """The supervised stretches of a cut."""
    key = text_field(fields, where, "id")
    if key not in by_stem:
        raise ManifestError(f"{where}: the audio of {key!r} is not in {tar}")
    audio = by_stem[key].audio()
    supervisions = fields.get("supervisions") or []
    if not supervisions:
        raise ManifestError(f"{where}: cut {key!r} has no supervision, so no text")
    for said in supervisions:
        text = text_field(said, where, "text")
        speaker = str(said.get("speaker") or "")
        if len(supervisions) == 1:
            claimed_s = seconds(fields.get("duration"), where, "duration")
            yield SourceUtterance(where, key, audio, text, speaker, claimed_s)
            continue
        start_s = seconds(said.get("start"), where, "start")
        duration_s = seconds(said.get("duration"), where, "duration")
        part = Extract(
            f"{audio.identity} {start_s} {duration_s}", partial(_part, audio, start_s, duration_s)
        )
        yield SourceUtterance(where, str(said.get("id")), part, text, speaker, duration_s)


def _part(audio: Extract, start_s: float, duration_s: float) -> tuple[Samples, int]:
    samples, rate_hz = audio.load()
    start, num_samples = round(start_s * rate_hz), round(duration_s * rate_hz)
    if start + num_samples > len(samples) + rate_hz // 10:
        raise AudioError(
            f"{start_s:g}-{start_s + duration_s:g} s is outside of its {len(samples) / rate_hz:g} s"
        )
    return samples[start : start + num_samples], rate_hz


SHAR = Importer(
    "shar",
    "a folder of cuts.000000.jsonl.gz and recording.000000.tar, or of such folders",
    lambda source: bool(_folders(source)),
    _splits,
)
