"""Hostile files: each one line on standard error, exit status 2, and nothing else touched."""

import json
import re
from pathlib import Path

import pytest
from hostile.audio import SAMPLES, hostile_audio, odd_audio
from hostile.case import Hostile
from hostile.configs import hostile_configs
from hostile.models import hostile_models
from paths import TONES
from verbs import start

AUDIO, MODELS, CONFIGS, ODD = hostile_audio(), hostile_models(), hostile_configs(), odd_audio()
SPEECH = Path(__file__).parents[1] / "data" / "ljspeech_LJ001-0002.wav"
LONGEST_LINE = 600  # characters, without the path


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """An empty folder that commands run in."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def assert_refused(done, case: Hostile, verb: str, path: Path) -> None:
    assert done.is_mistake(), done
    assert done.err.startswith(f"halfbyte {verb}: ")
    assert re.search(case.reason, done.err), done.err
    assert len(done.err.replace(str(path), "")) < LONGEST_LINE
    assert done.err.strip().isprintable()
    assert list(path.parent.iterdir()) == [path]
    assert path.read_bytes() == case.content


def test_there_are_hundreds():
    assert len(AUDIO) + len(MODELS) + len(CONFIGS) > 400


@pytest.mark.parametrize("name", AUDIO)
def test_audio(halfbyte, folder, name):
    path = folder / name
    path.write_bytes(AUDIO[name].content)
    done = halfbyte("transcribe", path, "--model", TONES, "--json")
    assert_refused(done, AUDIO[name], "transcribe", path)
    assert str(path) in done.err


@pytest.mark.parametrize("name", ODD)
def test_audio_that_is_odd_is_read(halfbyte, folder, name):
    (folder / name).write_bytes(ODD[name])
    done = halfbyte("transcribe", folder / name, "--model", TONES, "--json")
    assert (done.status, done.err) == (0, "")
    assert json.loads(done.out)["duration_s"] == len(SAMPLES) / 16000


@pytest.mark.parametrize("name", MODELS)
def test_a_model(halfbyte, folder, name):
    path = folder / name
    path.write_bytes(MODELS[name].content)
    done = halfbyte("transcribe", SPEECH, "--model", path)
    assert_refused(done, MODELS[name], "transcribe", path)
    done = halfbyte("info", path)  # a graph that runs may be looked at though it hears nothing
    assert done.status == 0 or done.is_mistake()


@pytest.mark.parametrize("name", CONFIGS)
def test_a_configuration(halfbyte, folder, name):
    path = folder / name
    path.write_bytes(CONFIGS[name].content)
    done = halfbyte("train", path, "--run", folder / "run", f"data.root={folder}")
    assert_refused(done, CONFIGS[name], "train", path)


SAMPLE = [*sorted(AUDIO)[::40], *sorted(MODELS)[::60]]


@pytest.mark.parametrize("name", SAMPLE)
def test_as_a_user_does(folder, name):
    """In a process of its own, whose libraries could write what they like."""
    path = folder / name
    case = (AUDIO | MODELS)[name]
    path.write_bytes(case.content)
    words = [path, "--model", TONES] if name in AUDIO else [SPEECH, "--model", path]
    with start("transcribe", *words) as process:
        out, err = process.communicate(timeout=60)
    assert (process.returncode, out, err.count("\n")) == (2, "", 1), err
    assert re.search(case.reason, err)
    assert list(folder.iterdir()) == [path]
