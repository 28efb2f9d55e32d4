"""The C library through ctypes: include/halfbyte.h, call by call."""

import ctypes
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
BUILD = ROOT / "build" / "c"
PROGRAM = BUILD / "transcribe"
OK, AUDIO, MODEL_FILE, INPUT, USAGE = range(5)


def build() -> None:
    """`make c`, with the cmake of this environment first."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    done = subprocess.run(
        ["make", "--no-print-directory", "c"],
        cwd=ROOT,
        env=os.environ | {"PATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


class Options(ctypes.Structure):
    _fields_ = (
        ("chunk_ms", ctypes.c_int),
        ("mode", ctypes.c_char_p),
        ("trailing_silence_ms", ctypes.c_int),
        ("sample_rate_hz", ctypes.c_int),
    )


class CWord(ctypes.Structure):
    _fields_ = (
        ("text", ctypes.c_char_p),
        ("start_ms", ctypes.c_int64),
        ("end_ms", ctypes.c_int64),
        ("confidence", ctypes.c_double),
    )


class CEvent(ctypes.Structure):
    _fields_ = (
        ("text", ctypes.c_char_p),
        ("is_final", ctypes.c_int),
        ("start_ms", ctypes.c_int64),
        ("end_ms", ctypes.c_int64),
        ("words", ctypes.POINTER(CWord)),
        ("num_words", ctypes.c_size_t),
    )


@dataclass
class Said:
    """An event, copied out of the library."""

    text: str
    is_final: bool
    times_ms: tuple[int, int]
    words: list[tuple[str, int, int, float]]


class Library:
    """The shared library, with a model and streams on it."""

    def __init__(self) -> None:
        build()
        self.c = ctypes.CDLL(str(next(BUILD.glob("libhalfbyte.*"))))
        self.c.halfbyte_last_error.restype = ctypes.c_char_p
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

    def events(self, stream: ctypes.c_void_p) -> list[Said]:
        """Those that wait."""
        event, said = CEvent(), []
        while self.c.halfbyte_stream_next_event(stream, ctypes.byref(event)):
            words = [event.words[i] for i in range(event.num_words)]
            said.append(
                Said(
                    event.text.decode(),
                    bool(event.is_final),
                    (event.start_ms, event.end_ms),
                    [(w.text.decode(), w.start_ms, w.end_ms, w.confidence) for w in words],
                )
            )
        return said
