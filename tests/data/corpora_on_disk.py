"""Small corpora in the layouts of other toolkits, of the real recordings of this folder."""

import io
import json
import tarfile
from pathlib import Path

import soundfile

FOLDER = Path(__file__).parent
RECORDINGS = {  # id -> file, text, speaker
    "lj": (FOLDER / "ljspeech_LJ001-0002.wav", "in being comparatively modern", "linda"),
    "abbey": (FOLDER / "librispeech_19-198-0000.wav", "northanger abbey", "19"),
    "call": (FOLDER / "wuw2_WUWII00000_001.wav", "operator", "w0"),
}


def duration_s(key: str) -> float:
    """Of a recording."""
    return soundfile.info(RECORDINGS[key][0]).duration


def write_jsonl(path: Path, lines: list[dict]) -> Path:
    """JSON objects, one a line."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    return path


def nemo_lines() -> list[dict]:
    """A NeMo manifest of the recordings."""
    return [
        {"audio_filepath": str(path), "text": text, "duration": duration_s(key), "speaker": speaker}
        for key, (path, text, speaker) in RECORDINGS.items()
    ]


def write_tar(path: Path, members: dict[str, bytes]) -> Path:
    """A plain tar file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w") as tar:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return path


def write_kaldi(folder: Path) -> Path:
    """A Kaldi data directory."""
    folder.mkdir(parents=True, exist_ok=True)
    tables = {"wav.scp": "", "text": "", "utt2spk": ""}
    for key, (path, text, speaker) in RECORDINGS.items():
        tables["wav.scp"] += f"{key} {path}\n"
        tables["text"] += f"{key} {text}\n"
        tables["utt2spk"] += f"{key} {speaker}\n"
    for name, content in tables.items():
        (folder / name).write_text(content)
    return folder


def write_wenet_shards(folder: Path) -> Path:
    """data.list and a tar file of pairs key.wav, key.txt."""
    members = {}
    for key, (path, text, _) in RECORDINGS.items():
        members |= {f"{key}.wav": path.read_bytes(), f"{key}.txt": text.encode()}
    write_tar(folder / "shards_000.tar", members)
    (folder / "data.list").write_text("shards_000.tar\n")
    return folder


def write_csv(folder: Path, header: str = "file,transcript,speaker") -> Path:
    """Recordings beside a table."""
    (folder / "wavs").mkdir(parents=True, exist_ok=True)
    rows = [header]
    for key, (path, text, speaker) in RECORDINGS.items():
        (folder / "wavs" / f"{key}.wav").write_bytes(path.read_bytes())
        rows.append(f"{key}.wav,{text},{speaker}")
    (folder / "train.csv").write_text("\n".join(rows) + "\n")
    return folder


def lhotse_cuts():
    """A lhotse CutSet of the recordings, one supervision each."""
    from lhotse import CutSet, MonoCut, Recording, SupervisionSegment

    cuts = []
    for key, (path, text, speaker) in RECORDINGS.items():
        recording = Recording.from_file(path, recording_id=key)
        said = SupervisionSegment(key, key, 0.0, recording.duration, text=text, speaker=speaker)
        cuts.append(
            MonoCut(key, 0.0, recording.duration, 0, supervisions=[said], recording=recording)
        )
    return CutSet.from_cuts(cuts)
