"""`halfbyte teach` with the model of tones: from a folder of recordings to a file."""

import json
import signal
import time
import tomllib
from pathlib import Path

import numpy as np
import pytest
import soundfile
from paths import ROOT
from train.corpus import RATE_HZ, WORDS, tone
from verbs import start

from halfbyte.teach import lesson

START = ROOT / "tests" / "golden" / "tones-mixed"
WEIGHTS = ROOT / "packages" / "halfbyte-en-voice-weights"


@pytest.fixture(scope="module")
def recordings(tmp_path_factory) -> Path:
    """Thirty recordings of three words, without speakers or splits."""
    folder = tmp_path_factory.mktemp("recordings")
    random = np.random.default_rng(4)
    lines = ["file,text"]
    for i in range(30):
        word = list(WORDS)[i % 3]
        soundfile.write(folder / f"{i}.wav", tone(WORDS[word], random), RATE_HZ)
        lines.append(f"{i}.wav,{word}")
    (folder / "words.csv").write_text("\n".join(lines) + "\n")
    return folder


def lesson_words(recordings: Path, path: Path, *more: str) -> list[str]:
    return [
        "teach",
        str(recordings),
        "-o",
        str(path),
        "--from",
        str(START),
        "loop.threads=1",
        *more,
    ]


def test_it_makes_a_file_and_reports(halfbyte, recordings, tmp_path):
    path = tmp_path / "mine.hb"
    done = halfbyte(*lesson_words(recordings, path, "loop.epochs=2"))
    assert done.status == 0, done.err
    assert "of 5 held-out recordings are right" in done.out
    assert "said" in done.out.splitlines()[0]
    heard = halfbyte("transcribe", "--model", path, recordings / "0.wav")
    assert heard.out.strip() == "low"
    kept = {p.name for p in (tmp_path / "mine.teach").iterdir()}
    assert kept == {"data", "report.txt", "result"}


def test_json_is_one_object(halfbyte, recordings, tmp_path):
    path = tmp_path / "mine.hb"
    done = halfbyte(*lesson_words(recordings, path, "loop.epochs=1", "--json"))
    report = json.loads(done.out)
    assert (report["recordings"], report["held_out"], report["bad"]) == (25, 5, [])
    assert report["after"]["utterances"] == 5


def test_killed_it_continues(halfbyte, recordings, tmp_path):
    path = tmp_path / "mine.hb"
    words = lesson_words(recordings, path, "loop.epochs=4")
    process = start(*words)
    epochs = tmp_path / "mine.teach" / "train" / "metrics.jsonl"
    deadline_s = time.monotonic() + 240
    while not epochs.exists():
        assert process.poll() is None, process.communicate()[1]
        assert time.monotonic() < deadline_s
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert not path.exists()
    done = halfbyte(*words)
    assert (done.status, path.exists()) == (0, True), done.err


def test_interrupted_it_says_how_to_continue(halfbyte, recordings, tmp_path, monkeypatch):
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(lesson, "make_file", interrupt)
    done = halfbyte(*lesson_words(recordings, tmp_path / "mine.hb", "loop.epochs=1"))
    assert done.status == 130
    assert "mine.teach holds the run: the same command continues" in done.err


def test_without_its_weights_it_says_what_to_install(halfbyte, recordings, tmp_path, monkeypatch):
    monkeypatch.setattr(lesson, "WEIGHTS_PACKAGE", "halfbyte_no_such_weights")
    done = halfbyte("teach", recordings, "-o", tmp_path / "mine.hb")
    assert done.is_mistake()
    assert "pip install ./packages/halfbyte-no-such-weights" in done.err


def test_the_package_of_weights_holds_a_checkpoint():
    project = tomllib.loads((WEIGHTS / "pyproject.toml").read_text())
    included = project["tool"]["hatch"]["build"]["targets"]["wheel"]["force-include"]
    folders = {name: (WEIGHTS / path).resolve() for path, name in included.items()}
    assert project["project"]["name"].replace("-", "_") == lesson.WEIGHTS_PACKAGE
    for name in ("config.yaml", "tokenizer.model", "weights.safetensors"):
        assert (folders[lesson.WEIGHTS_PACKAGE] / name).is_file()
