"""The C library through ctypes: include/halfbyte.h, call by call."""

import ctypes
import os
import subprocess
import sys
from pathlib import Path

from halfbyte import Detection, Endpoint, Event, ScoredText, Slot, SpeakerActivity, Text, Word

ROOT = Path(__file__).parents[2]
BUILD = ROOT / "build" / "c"
PROGRAM = BUILD / "transcribe"
OK, AUDIO, MODEL_FILE, INPUT, USAGE = range(5)
TEXT, DETECTION, SPEAKER, ENDPOINT = range(4)


def run(*words: object) -> str:
    """What a program prints that is to succeed, with the cmake of this environment first."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    done = subprocess.run(
        list(map(str, words)),
        cwd=ROOT,
        env=os.environ | {"PATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def build() -> None:
    """`make c`."""
    run("make", "--no-print-directory", "c")


class Options(ctypes.Structure):
    _fields_ = (
        ("chunk_ms", ctypes.c_int),
        ("mode", ctypes.c_char_p),
        ("trailing_silence_ms", ctypes.c_int),
        ("max_segment_ms", ctypes.c_int),
        ("sample_rate_hz", ctypes.c_int),
        ("num_best", ctypes.c_int),
        ("min_score", ctypes.c_double),
    )


class CWord(ctypes.Structure):
    _fields_ = (
        ("text", ctypes.c_char_p),
        ("start_ms", ctypes.c_int64),
        ("end_ms", ctypes.c_int64),
        ("confidence", ctypes.c_double),
    )


class CHypothesis(ctypes.Structure):
    _fields_ = (("text", ctypes.c_char_p), ("score", ctypes.c_double))


class CSlot(ctypes.Structure):
    _fields_ = (("name", ctypes.c_char_p), ("text", ctypes.c_char_p))


class CEvent(ctypes.Structure):
    _fields_ = (
        ("type", ctypes.c_int),
        ("text", ctypes.c_char_p),
        ("is_final", ctypes.c_int),
        ("start_ms", ctypes.c_int64),
        ("end_ms", ctypes.c_int64),
        ("words", ctypes.POINTER(CWord)),
        ("num_words", ctypes.c_size_t),
        ("hypotheses", ctypes.POINTER(CHypothesis)),
        ("num_hypotheses", ctypes.c_size_t),
        ("label", ctypes.c_char_p),
        ("is_active", ctypes.c_int),
        ("score", ctypes.c_double),
        ("slots", ctypes.POINTER(CSlot)),
        ("num_slots", ctypes.c_size_t),
    )


def copied(event: CEvent) -> Event:
    """An event of the library as one of the package, rounded as those are."""
    end_s = event.end_ms / 1000
    label, score = event.label.decode(), round(event.score, 4)
    if event.type == DETECTION:
        return Detection(label, end_s, score)
    if event.type == SPEAKER:
        return SpeakerActivity(label, bool(event.is_active), end_s, score)
    if event.type == ENDPOINT:
        return Endpoint(label, end_s)
    words = [event.words[i] for i in range(event.num_words)]
    hypotheses = [event.hypotheses[i] for i in range(event.num_hypotheses)]
    return Text(
        event.text.decode(),
        bool(event.is_final),
        event.start_ms / 1000,
        end_s,
        [
            Word(w.text.decode(), w.start_ms / 1000, w.end_ms / 1000, round(w.confidence, 4))
            for w in words
        ],
        [ScoredText(one.text.decode(), round(one.score, 4)) for one in hypotheses],
        [Slot(one.name.decode(), one.text.decode()) for one in event.slots[: event.num_slots]],
    )


class Library:
    """A shared library, with a model and streams on it."""

    def __init__(self, folder: Path = BUILD) -> None:
        self.c = ctypes.CDLL(str(next(folder.glob("libhalfbyte.*"))))
        self.c.halfbyte_last_error.restype = ctypes.c_char_p
        self.c.halfbyte_model_mode.restype = ctypes.c_char_p
        self.c.halfbyte_default_options.restype = Options

    def last_error(self) -> str:
        return self.c.halfbyte_last_error().decode()

    def open_model(self, path: Path) -> ctypes.c_void_p:
        model = ctypes.c_void_p()
        assert self.c.halfbyte_model_open(str(path).encode(), ctypes.byref(model)) == OK
        return model

    def open_stream(self, model: ctypes.c_void_p, **settings: object) -> ctypes.c_void_p:
        options = self.c.halfbyte_default_options()
        for name, value in settings.items():
            setattr(options, name, value)
        stream = ctypes.c_void_p()
        status = self.c.halfbyte_stream_open(model, ctypes.byref(options), ctypes.byref(stream))
        assert status == OK, self.last_error()
        return stream

    def accept(self, stream: ctypes.c_void_p, samples: object) -> int:
        num_samples = len(samples)
        values = (ctypes.c_float * num_samples)(*samples)
        return self.c.halfbyte_stream_accept(stream, values, ctypes.c_size_t(num_samples))

    def events(self, stream: ctypes.c_void_p) -> list[Event]:
        """Those that wait."""
        event, said = CEvent(), []
        while self.c.halfbyte_stream_next_event(stream, ctypes.byref(event)):
            said.append(copied(event))
        return said
