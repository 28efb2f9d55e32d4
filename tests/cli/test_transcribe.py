"""`halfbyte transcribe`: every form of output, and nothing but it."""

import json
import os
import re
import signal
from threading import Thread
from typing import BinaryIO

import pytest
import soundfile
from paths import TONES
from tones import recording
from verbs import start

from halfbyte import Recognizer


@pytest.fixture
def transcribe(halfbyte, talk):
    """Calls the verb on the talk with the model of tones."""
    return lambda *words: halfbyte("transcribe", talk, "--model", TONES, *words)


def test_text(transcribe):
    done = transcribe()
    assert (done.status, done.out, done.err) == (0, "low high mid\n", "")


@pytest.mark.parametrize("mode", ["rescoring", "prefix_beam", "greedy"])
@pytest.mark.parametrize("chunk_ms", [0, 40, 320])
def test_modes_and_chunks(transcribe, mode, chunk_ms):
    assert transcribe("--mode", mode, "--chunk-ms", chunk_ms).out == "low high mid\n"


def test_json_is_one_object_and_nothing_else(transcribe, talk):
    done = transcribe("--json")
    assert done.err == ""
    assert done.out.count("\n") == 1
    found = json.loads(done.out)
    assert found["audio"] == str(talk)
    assert found["duration_s"] == 6.3
    assert found["text"] == "low high mid"
    expected = Recognizer(TONES).transcribe(talk)
    texts = [event.text for event in expected if event.text]
    assert [segment["text"] for segment in found["segments"]] == texts
    heard = [word for segment in found["segments"] for word in segment["words"]]
    assert [word["text"] for word in heard] == ["low", "high", "mid"]
    for i, word in enumerate(heard):
        assert 2 * i + 0.2 < word["start_s"] < word["end_s"] < 2 * i + 1.2  # spoken: 0.3 to 0.8
        assert 0.3 < word["confidence"] <= 1


def test_a_grammar(transcribe, tmp_path):
    grammar = tmp_path / "order.jsgf"
    grammar.write_text("#JSGF V1.0;\npublic <order> = <level>+;\n<level> = low | mid | high;\n")
    found = json.loads(transcribe("--grammar", grammar, "--json").out)
    slots = [slot for segment in found["segments"] for slot in segment["slots"]]
    assert {"name": "level", "text": "high"} in slots
    grammar.write_text("#JSGF V1.0;\npublic <order> = low\n")
    done = transcribe("--grammar", grammar)
    assert (done.status, done.out) == (2, "")
    expected = f"{grammar}:3: expected ; after the rule <order>, not the end of the file"
    assert done.err == f"halfbyte transcribe: {expected}\n"
    assert transcribe("--grammar", tmp_path / "none").err.endswith(
        "none: No such file or directory\n"
    )


def seconds(clock: str) -> float:
    hours, minutes, rest = clock.replace(",", ".").split(":")
    return 3600 * int(hours) + 60 * int(minutes) + float(rest)


@pytest.mark.parametrize(("form", "decimal"), [("srt", ","), ("vtt", ".")])
def test_subtitles(transcribe, form, decimal):
    done = transcribe(f"--{form}")
    assert done.err == ""
    assert done.out.startswith("1\n" if form == "srt" else "WEBVTT\n\n")
    clock = rf"(\d\d:\d\d:\d\d{re.escape(decimal)}\d\d\d)"
    cues = re.findall(rf"^{clock} --> {clock}\n(.+)\n", done.out, re.MULTILINE)
    assert " ".join(text for *_, text in cues) == "low high mid"
    times = [seconds(clock) for start, end, _ in cues for clock in (start, end)]
    assert times == sorted(times)
    assert times[-1] <= 6.3


def test_a_dash_is_standard_input(talk):
    words = ("transcribe", "--model", TONES, "--json", "-")
    for source in (talk.open("rb"), piped(talk.read_bytes())):
        with source, start(*words, stdin=source) as process:
            out, err = process.communicate(timeout=60)
        assert (process.returncode, err) == (0, "")
        found = json.loads(out)
        assert (found["audio"], found["text"]) == ("-", "low high mid")


def piped(content: bytes) -> BinaryIO:
    """The reading end of a pipe that somebody writes into."""
    reading, writing = os.pipe()

    def write() -> None:
        with os.fdopen(writing, "wb") as pipe:
            pipe.write(content)

    Thread(target=write).start()
    return os.fdopen(reading, "rb")


def test_stream_shows_words_as_they_come_and_settles_each_segment(transcribe):
    done = transcribe("--stream", "--chunk-ms", "120")
    assert done.err == ""
    lines = done.out.splitlines()
    settled = [line for line in lines if line.startswith("[")]
    assert [line.partition("] ")[2] for line in settled] == ["low", "high", "mid"]
    assert lines[0].startswith("… l")
    assert lines.index("… low") < lines.index(settled[0]) < lines.index(settled[1])


def test_stats_go_to_standard_error(transcribe):
    done = transcribe("--stats")
    assert done.out == "low high mid\n"
    assert re.fullmatch(
        r"6\.30 s of audio in \d+\.\d\d s: real-time factor \d+\.\d+, peak memory \d+\.\d MB\n",
        done.err,
    )


def test_several_files_in_the_order_given(halfbyte, talk, tmp_path):
    other = tmp_path / "other.flac"
    soundfile.write(other, recording("mid"), 16000)
    done = halfbyte("transcribe", other, talk, other, "--model", TONES)
    assert done.out.splitlines() == [f"{other}: mid", f"{talk}: low high mid", f"{other}: mid"]
    done = halfbyte("transcribe", other, talk, "--stream", "--model", TONES)
    assert [line for line in done.out.splitlines() if line[0] not in "…["] == [
        f"{other}:",
        f"{talk}:",
    ]
    done = halfbyte("transcribe", other, talk, "--json", "--model", TONES)
    assert [json.loads(line)["audio"] for line in done.out.splitlines()] == [str(other), str(talk)]


@pytest.mark.parametrize("form", ["--srt", "--vtt"])
def test_subtitles_of_several_files_are_refused(halfbyte, talk, form):
    done = halfbyte("transcribe", talk, talk, form, "--model", TONES)
    assert done.is_mistake()
    assert "a single file; got 2" in done.err


def test_a_file_after_a_good_one_may_be_missing(halfbyte, talk):
    done = halfbyte("transcribe", talk, "missing.wav", talk, "--model", TONES)
    assert done.status == 2
    assert done.out == f"{talk}: low high mid\n" * 2
    assert len(done.err.splitlines()) == 1
    assert "missing.wav: no such file" in done.err


def test_a_file_that_ends_too_early_is_read_with_a_warning(talk, tmp_path):
    path = tmp_path / "short.wav"
    path.write_bytes(talk.read_bytes()[: 44 + 2 * 2 * 16000])
    with start("transcribe", path, "--json", "--model", TONES) as process:
        out, err = process.communicate(timeout=60)
    assert (process.returncode, json.loads(out)["duration_s"]) == (0, 2.0)
    assert err == (
        f"warning: {path}: the file ends 4.30 s before its header says; read to its end\n"
    )


def test_names_that_no_terminal_shows(halfbyte, talk, tmp_path):
    path = os.fsdecode(os.fsencode(tmp_path) + b"/\xff.wav")
    os.symlink(talk, path)
    done = halfbyte("transcribe", path, "--json", "--model", TONES)
    assert done.status == 0
    assert json.loads(done.out)["audio"] == path


def test_without_a_reader_it_ends_quietly(talk):
    """As in `halfbyte transcribe --stream … | head -1`."""
    files = [talk] * 40
    with start("transcribe", "--stream", "--model", TONES, *files) as process:
        assert process.stdout.readline() == f"{talk}:\n"
        process.stdout.close()
        assert process.wait(timeout=60) == 0
        assert process.stderr.read() == ""


def test_a_full_disk_is_one_line(talk):
    with (
        open("/dev/full", "w") as full,
        start("transcribe", "--model", TONES, talk, stdout=full) as process,
    ):
        assert process.wait(timeout=60) == 2
        assert re.fullmatch(r"halfbyte transcribe: .*No space left.*\n", process.stderr.read())


def test_interrupted_it_says_so_in_one_line(talk):
    with start("transcribe", "--stream", "--model", TONES, *[talk] * 5000) as process:
        assert process.stdout.readline()
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert err == "halfbyte transcribe: interrupted\n"


def test_on_a_terminal_one_line_is_rewritten(talk):
    """Partials stay within a narrow terminal's line, and finals stand alone."""
    master, terminal = os.openpty()
    environment = os.environ | {"COLUMNS": "10"}
    words = ("transcribe", "--stream", "--model", TONES, "--chunk-ms", "120", talk)
    with start(*words, stdout=terminal, env=environment) as process:
        os.close(terminal)
        shown = b""
        while True:
            try:
                piece = os.read(master, 4096)
            except OSError:  # the other end is closed
                break
            if not piece:
                break
            shown += piece
        assert process.wait(timeout=60) == 0
    os.close(master)
    *settled, last = shown.decode().replace("\r\n", "\n").split("\n")
    assert [line.rpartition("\r\x1b[K")[2].partition("] ")[2] for line in settled] == [
        "low",
        "high",
        "mid",
    ]
    assert last in ("", "\r\x1b[K")
    partials = re.findall(r"\r\x1b\[K(… [^\r\n]*)", shown.decode())
    assert partials
    assert all(len(partial) <= 9 for partial in partials)


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_terminals_of_other_encodings(talk, encoding):
    environment = os.environ | {"PYTHONIOENCODING": encoding}
    words = ("transcribe", "--stream", "--model", TONES, talk)
    with start(*words, env=environment, encoding=encoding) as process:
        out, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (0, "")
    assert out.splitlines()[-1].endswith("mid")
