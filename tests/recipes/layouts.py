"""Tiny trees in the layout in which LibriSpeech, AISHELL-1 and Common Voice are unpacked."""

import io
from pathlib import Path

import soundfile
from data.corpora_on_disk import RECORDINGS

AISHELL_TEXTS = ("而 对 楼市 成交", "也 成为 地方 政府", "抑制 作用")
AISHELL_SPLITS = (("train", "S0002"), ("dev", "S0724"), ("test", "S0764"))
LIBRISPEECH_SPLITS = (
    ("train-clean-100", "19"),
    ("train-clean-360", "14"),
    ("train-other-500", "20"),
    ("dev-clean", "84"),
    ("dev-other", "116"),
    ("test-clean", "61"),
)


def flac(path: Path) -> bytes:
    """A recording as FLAC."""
    samples, rate_hz = soundfile.read(path, dtype="int16")
    content = io.BytesIO()
    soundfile.write(content, samples, rate_hz, format="FLAC")
    return content.getvalue()


def write_librispeech(folder: Path) -> Path:
    """One chapter a split; every text is in capital letters, as in the corpus."""
    for split, speaker in LIBRISPEECH_SPLITS:
        chapter = folder / "LibriSpeech" / split / speaker / "198"
        chapter.mkdir(parents=True)
        lines = []
        for number, (path, text, _) in enumerate(RECORDINGS.values()):
            key = f"{speaker}-198-{number:04d}"
            (chapter / f"{key}.flac").write_bytes(flac(path))
            lines.append(f"{key} {text.upper()}\n")
        (chapter / f"{speaker}-198.trans.txt").write_text("".join(lines))
    (folder / "LibriSpeech" / "SPEAKERS.TXT").write_text("; nothing\n")
    return folder


def write_aishell(folder: Path) -> Path:
    """One speaker a split; one recording has no transcript, as in the corpus itself."""
    lines = []
    for split, speaker in AISHELL_SPLITS:
        place = folder / "data_aishell" / "wav" / split / speaker
        place.mkdir(parents=True)
        for number, (path, _, _) in enumerate(RECORDINGS.values()):
            key = f"BAC009{speaker}W{number:04d}"
            (place / f"{key}.wav").write_bytes(path.read_bytes())
            lines.append(f"{key} {AISHELL_TEXTS[number]}\n")
        (place / f"BAC009{speaker}W9999.wav").write_bytes(b"")
    transcript = folder / "data_aishell" / "transcript" / "aishell_transcript_v0.8.txt"
    transcript.parent.mkdir()
    transcript.write_text("".join(lines), encoding="utf-8")
    return folder


def write_common_voice(folder: Path) -> Path:
    """One recording a split, and the tables beside them that hold no recordings."""
    (folder / "clips").mkdir(parents=True)
    header = "client_id\tpath\tsentence_id\tsentence\tup_votes\tgender\tsegment"
    rows = []
    for number, (key, (path, _, _)) in enumerate(RECORDINGS.items()):
        samples, rate_hz = soundfile.read(path)
        soundfile.write(folder / "clips" / f"{key}.mp3", samples, rate_hz)
        rows.append(f's{number}\t{key}.mp3\t1f\tsay "{key}\t2\t\t')
    for name, held in zip(("train", "dev", "test"), rows, strict=True):
        (folder / f"{name}.tsv").write_text(f"{header}\n{held}\n")
    (folder / "validated.tsv").write_text("\n".join([header, *rows]) + "\n")
    (folder / "reported.tsv").write_text("sentence_id\tsentence\tlocale\treason\n")
    (folder / "clip_durations.tsv").write_text("clip\tduration[ms]\nlj.mp3\t1900\n")
    return folder
