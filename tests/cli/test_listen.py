"""`halfbyte listen`: with blocks of a file in place of a microphone, and through PortAudio with
an ALSA device that plays a file."""

import argparse
import importlib.util
import json
import os
import re
import signal
import sys
from array import array
from pathlib import Path

import pytest
import soundfile
from paths import TONES
from tones import recording
from verbs import start

from halfbyte import Detection, Recognizer, StreamOptions, UsageError, finals
from halfbyte.cli.listen import MUTE, add_arguments, listen, make_stream
from halfbyte.cli.live import METER_CELLS, Live, level_db
from halfbyte.listen.microphone import BLOCK_MS
from halfbyte.listen.wake import WakeStream

BLOCK_SAMPLES = 16000 * BLOCK_MS // 1000


def blocks_of(path: Path) -> "list[array[float]]":
    samples = array("f", soundfile.read(path, dtype="float32")[0])
    return [samples[i : i + BLOCK_SAMPLES] for i in range(0, len(samples), BLOCK_SAMPLES)]


def test_it_gives_what_transcribe_gives(halfbyte, talk, capfd):
    words = ("transcribe", talk, "--stream", "--model", TONES)
    settled = [line for line in halfbyte(*words).out.splitlines() if line.startswith("[")]
    listen(Recognizer(TONES).stream(), blocks_of(talk), is_json=False)
    assert capfd.readouterr().out.splitlines() == settled


def test_json_is_an_object_a_line(talk, capfd):
    listen(Recognizer(TONES).stream(StreamOptions(chunk_ms=120)), blocks_of(talk), is_json=True)
    out, err = capfd.readouterr()
    events = [json.loads(line) for line in out.splitlines()]
    assert err == ""
    texts = [e for e in events if e["type"] == "text"]
    assert [e["text"] for e in texts if e["is_final"] and e["text"]] == ["low", "high", "mid"]
    assert not all(e["is_final"] for e in texts)
    assert [e["reason"] for e in events if e["type"] == "endpoint"][-1] == "finish"


def test_a_mute_microphone_is_said_once(capfd):
    silence = [array("f", bytes(4 * BLOCK_SAMPLES))] * 200
    listen(Recognizer(TONES).stream(), silence, is_json=False)
    assert capfd.readouterr().err == MUTE + "\n"


def test_level():
    assert level_db(array("f", [0.5, -0.5] * 100)) == pytest.approx(-6.02, abs=0.01)
    assert level_db(array("f", [0.0])) == -120


def test_meter(capsys, monkeypatch):
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    live = Live(is_microphone=True)
    for db in (-120, -24, -24, 0):
        live.level(db)
    shown = capsys.readouterr().out.split("\r\x1b[K")
    assert [line.count("▮") for line in shown[1:]] == [METER_CELLS // 2, METER_CELLS]


def test_without_the_package_it_says_what_to_install(halfbyte, monkeypatch):
    monkeypatch.setitem(sys.modules, "sounddevice", None)
    done = halfbyte("listen", "--model", TONES)
    assert done.is_mistake()
    assert "pip install 'halfbyte[listen]'" in done.err


@pytest.mark.parametrize("words", [["--chunk-ms", "7"], ["--model", "missing.hb"]])
def test_mistakes_are_said_before_the_microphone_opens(halfbyte, monkeypatch, words):
    monkeypatch.setitem(sys.modules, "sounddevice", None)
    done = halfbyte("listen", *words)
    assert done.is_mistake()
    assert "sounddevice" not in done.err


def has_portaudio() -> bool:
    if not sys.platform.startswith("linux") or not importlib.util.find_spec("sounddevice"):
        return False
    try:
        importlib.import_module("sounddevice")
    except OSError:
        return False
    return True


portaudio = pytest.mark.skipif(
    not has_portaudio(), reason="NOT RUN: needs Linux, sounddevice and apt install libportaudio2"
)


@pytest.fixture
def microphone(tmp_path) -> dict[str, str]:
    """Environment with an ALSA device that plays "low high mid" and then whatever, at once."""
    raw = tmp_path / "talk.raw"
    soundfile.write(raw, recording("low high mid"), 16000, format="RAW", subtype="PCM_16")
    config = tmp_path / "asound.conf"
    config.write_text(
        f"""
        pcm.null {{ type null }}
        pcm.!default {{
          type file
          slave.pcm "null"
          file "/dev/null"
          infile "{raw}"
          format "raw"
        }}
        """
    )
    return os.environ | {"ALSA_CONFIG_PATH": str(config)}


@portaudio
def test_a_device(microphone):
    with start("listen", "--model", TONES, env=microphone) as process:
        assert process.stderr.readline() == "listening to default; Ctrl-C ends\n"
        assert process.stdout.readline().endswith("] low high mid\n")
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)
    assert process.returncode == 0


@portaudio
def test_on_a_terminal(microphone):
    master, terminal = os.openpty()
    words = ("listen", "--model", TONES, "--chunk-ms", "120")
    with start(*words, stdout=terminal, env=microphone) as process:
        os.close(terminal)
        shown = ""
        while "] low high mid" not in shown:
            shown += os.read(master, 4096).decode(errors="replace")
        process.send_signal(signal.SIGINT)
        while True:
            try:
                os.read(master, 4096)
            except OSError:  # the other end is closed
                break
        assert process.wait(timeout=60) == 0
    os.close(master)
    assert re.search(r"\r\x1b\[K▮+▯* … l", shown)


@portaudio
def test_devices(microphone):
    with start("listen", "--list-devices", env=microphone) as process:
        out, err = process.communicate(timeout=60)
    assert re.fullmatch(r"\d+  default  \d+ Hz\n", out)
    assert err == ""
    with start("listen", "--device", "kazoo", env=microphone) as process:
        _, err = process.communicate(timeout=60)
    assert process.returncode == 2
    assert re.fullmatch(r"halfbyte listen: .*'kazoo'.*--device takes one of \d+ \(default\)\n", err)


@portaudio
def test_without_a_microphone_it_says_so_in_one_line(tmp_path):
    config = tmp_path / "asound.conf"
    config.write_text("pcm.!default { type hw card 31 }")  # there is none
    environment = os.environ | {"ALSA_CONFIG_PATH": str(config)}
    with start("listen", env=environment) as process:
        out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (2, "")
    assert re.fullmatch(r"halfbyte listen: no microphone was found; .*\n", err)


class _Detects:
    """A stream that detects once, after so many blocks, a word that ended earlier."""

    def __init__(self, at_block: int, time_s: float):
        self._left, self._time_s = at_block, time_s

    def accept(self, samples):
        self._left -= 1
        return [Detection("computer", self._time_s, 0.9)] if self._left == 0 else []

    def finish(self):
        return []


def test_a_keyword_wakes_the_recogniser_for_one_sentence(talk):
    blocks = blocks_of(talk)  # low, high and mid, 1.5 s of silence behind each
    recognizer = Recognizer(TONES)
    whole = recognizer.stream()
    texts = finals([e for b in blocks for e in whole.accept(b)] + whole.finish())
    first_end = texts[0].words[-1].end_s
    at_s = first_end + 0.5
    waking = WakeStream(
        _Detects(round((at_s + 0.4) / BLOCK_MS * 1000), at_s), recognizer.stream, 16000
    )
    events = [e for b in blocks for e in waking.accept(b)] + waking.finish()
    assert events[0] == Detection("computer", at_s, 0.9)
    heard = [t for t in finals(events) if t.text]
    assert [t.text for t in heard] == [texts[1].text]
    assert heard[0].words[0].start_s == pytest.approx(texts[1].words[0].start_s, abs=0.1)


def test_a_model_that_detects_nothing_wakes_nobody():
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    options = parser.parse_args(["--wake", str(TONES)])
    with pytest.raises(UsageError, match="detects nothing; --wake takes a model of keywords"):
        make_stream(Recognizer(TONES), options, 16000)
