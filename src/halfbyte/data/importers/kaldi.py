"""Kaldi data directories: wav.scp, text, and if there are any segments and utt2spk.

Not by `lhotse.kaldi` (1.33), which drops the numbers of lines, and follows commands.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from halfbyte.data.source import (
    Extract,
    Found,
    Importer,
    SourceUtterance,
    Split,
    WholeFile,
    find_audio,
    listed,
    numbered_lines,
    seconds,
    stretch,
)
from halfbyte.errors import ManifestError

WAV_SCP = "wav.scp"
_TO_THE_END = ("-1", "-1.0")  # end of a segment that ends with its recording


@dataclass(frozen=True)
class _Line:
    """A line of one of Kaldi's tables: a key and the rest."""

    where: str
    rest: str


def _table(path: Path, bad: list[Found]) -> dict[str, _Line]:
    """A Kaldi table by key; empty where there is no such file.

    Args:
        bad: takes the mistakes of lines whose key an earlier line has.
    """
    if not path.is_file():
        return {}
    table: dict[str, _Line] = {}
    for where, line in numbered_lines(path):
        key, _, rest = line.strip().replace("\t", " ").partition(" ")
        if key in table:
            bad.append(ManifestError(f"{where}: {key!r} is the key of an earlier line, too"))
        else:
            table[key] = _Line(where, rest.strip())
    return table


def _recording(line: _Line, folder: Path) -> Path:
    """The file that a line of wav.scp names.

    Raises:
        ManifestError: it is a command, or a place in an archive. Data run nothing.
    """
    if line.rest.endswith("|"):
        raise ManifestError(
            f"{line.where} is a command ({line.rest[:60]}); commands in data are not run: "
            "write its audio to files and name these"
        )
    if line.rest.rpartition(":")[2].isdigit():
        raise ManifestError(
            f"{line.where} is a place in an archive ({line.rest[:60]}); "
            "write its audio to files and name these (wav-copy scp:wav.scp ark,scp:...)"
        )
    if not line.rest:
        raise ManifestError(f"{line.where} names no file")
    return find_audio(line.rest, [folder, *list(folder.absolute().parents)[:3], Path.cwd()])


def _segment_audio(line: _Line, recordings: dict[str, _Line], folder: Path) -> Extract:
    words = line.rest.split()
    if len(words) < 3:
        raise ManifestError(f"{line.where}: expected 'utterance recording start end'")
    recording, start, end = words[:3]
    if recording not in recordings:
        raise ManifestError(f"{line.where}: recording {recording!r} is not in {WAV_SCP}")
    start_s = seconds(start, line.where, "start")
    end_s = None if end in _TO_THE_END else seconds(end, line.where, "end")
    path = _recording(recordings[recording], folder)
    if not path.is_file():
        raise ManifestError(f"{recordings[recording].where}: audio {path} is missing")
    return stretch(path, start_s, end_s, line.where)


def _utterances(folder: Path) -> Iterator[Found]:
    bad: list[Found] = []
    names = (WAV_SCP, "segments", "text", "utt2spk")
    recordings, segments, texts, speakers = (_table(folder / name, bad) for name in names)
    yield from bad
    for key, line in (segments or recordings).items():
        try:
            audio = (
                _segment_audio(line, recordings, folder)
                if segments
                else WholeFile(_recording(line, folder))
            )
            if key not in texts:
                raise ManifestError(f"{line.where}: {key} is not in {folder / 'text'}")
        except ManifestError as error:
            yield error
        else:
            speaker = speakers[key].rest if key in speakers else ""
            yield SourceUtterance(line.where, key, audio, texts[key].rest, speaker)
    for key in texts.keys() - (segments or recordings).keys():
        yield ManifestError(f"{texts[key].where}: {key} has no audio in {folder}")


def _folders(source: Path) -> list[Path]:
    if (source / WAV_SCP).is_file():
        return [source]
    return sorted(path.parent for path in source.glob(f"*/{WAV_SCP}"))


def _splits(source: Path) -> list[Split]:
    return [listed(f.absolute().name, list(_utterances(f))) for f in _folders(source)]


KALDI = Importer(
    "kaldi",
    "a folder with wav.scp and text, or of such folders",
    lambda s: bool(_folders(s)),
    _splits,
)
