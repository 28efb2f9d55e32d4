"""Test splits: which there are, and their audio decoded once for many runs."""

import array
import json
import os
import zlib
from dataclasses import dataclass
from pathlib import Path

from origin import ROOT

from halfbyte.data.manifest import Utterance, read_manifest, worded_manifests

SAMPLE_RATE_HZ = 16000


@dataclass(frozen=True)
class Split:
    """A test split with text.

    Attributes:
        name: corpus and split, such as "wuw2/test".
        utterances: in the order of the manifest.
    """

    name: str
    utterances: tuple[Utterance, ...]

    @property
    def file_name(self) -> str:
        """Name of files about it: which corpus, and which of its utterances."""
        paths = "\n".join(str(u.audio_path.resolve()) for u in self.utterances)
        return f"{self.name.replace('/', '-')}-{zlib.crc32(paths.encode()):08x}"


def worded_splits(only: list[str] | None = None, limit: int | None = None) -> list[Split]:
    """Every `test` split with text under HALFBYTE_DATA, else under ../shared/speech.

    Args:
        only: corpora to take; all if not given.
        limit: take so many utterances of each, evenly spread over the manifest.

    Raises:
        SystemExit: there is none.
    """
    data = Path(os.environ.get("HALFBYTE_DATA") or ROOT.parent / "shared" / "speech")
    splits = []
    for path in worded_manifests(data, "test"):
        utterances = read_manifest(path)
        if not any(u.text for u in utterances) or (only and path.parent.name not in only):
            continue
        if len({u.id for u in utterances}) < len(utterances):
            raise SystemExit(f"{path} names an utterance twice; ids must differ")
        step = max(1, len(utterances) // limit) if limit else 1
        chosen = tuple(utterances[::step][:limit])
        splits.append(Split(f"{path.parent.name}/{path.stem}", chosen))
    if not splits:
        raise SystemExit(f"no test split with text in {data}; set HALFBYTE_DATA")
    return splits


def decode_split(split: Split, folder: Path) -> Path:
    """Decode a split's audio into `folder` for `read_samples`, unless it is there already.

    Samples stay float32, as a decoder gives them: rounding them to 16 bits would change
    transcripts now and then.

    Returns:
        Path of an index file: a JSON object of utterance ids to (offset, count), in samples.
    """
    from halfbyte.data.audio import read_audio

    index_path = folder / f"{split.file_name}.json"
    if index_path.exists():
        return index_path
    folder.mkdir(parents=True, exist_ok=True)
    index, offset = {}, 0
    with index_path.with_suffix(".f32").open("wb") as file:
        for utterance in split.utterances:
            samples = read_audio(utterance.audio_path, SAMPLE_RATE_HZ)
            file.write(samples.tobytes())
            index[utterance.id] = (offset, len(samples))
            offset += len(samples)
    index_path.write_text(json.dumps(index), encoding="utf-8")
    return index_path


class Samples:
    """Decoded audio by utterance id, read as it is asked for; needs no numpy.

    Args:
        index_path: what `decode_split` returned.
    """

    def __init__(self, index_path: Path):
        self.index: dict[str, tuple[int, int]] = json.loads(index_path.read_text("utf-8"))
        self._file = index_path.with_suffix(".f32").open("rb")

    def __getitem__(self, utterance_id: str) -> "array.array[float]":
        offset, count = self.index[utterance_id]
        samples = array.array("f")
        self._file.seek(offset * samples.itemsize)
        samples.fromfile(self._file, count)
        return samples
