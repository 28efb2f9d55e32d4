"""Running verbs: in this process, or as a user does, in one of their own."""

import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
import soundfile
from tones import recording

from halfbyte.cli import main

GOLDEN = Path(__file__).parents[1] / "golden"
TONES = GOLDEN / "tones.hb"


@dataclass
class Outcome:
    """What a call of a verb gave."""

    status: int
    out: str
    err: str

    def is_mistake(self) -> bool:
        """Status 2, one line on standard error that names the verb, nothing else anywhere."""
        lines = self.err.splitlines()
        is_one_line = len(lines) == 1 and lines[0].startswith("halfbyte")
        return self.status == 2 and self.out == "" and is_one_line


@pytest.fixture
def halfbyte(capfd):
    """Calls `halfbyte WORDS…` in this process."""

    def call(*words: object) -> Outcome:
        try:
            status = main([str(word) for word in words])
        except SystemExit as end:
            status = int(end.code or 0)
        out, err = capfd.readouterr()
        return Outcome(status, out, err)

    return call


def start(*words: object, **options) -> subprocess.Popen[str]:
    """Starts `halfbyte WORDS…` as a process, which hears Ctrl-C even where the tests do not."""
    command = [sys.executable, "-m", "halfbyte", *map(str, words)]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    hears = {"preexec_fn": lambda: signal.signal(signal.SIGINT, signal.SIG_DFL)}
    return subprocess.Popen(command, **(pipes | hears | options))


@pytest.fixture(scope="session")
def talk(tmp_path_factory) -> Path:
    """A recording of "low high mid" with a long pause after each word."""
    path = tmp_path_factory.mktemp("audio") / "talk.wav"
    soundfile.write(path, recording("low high mid", pause_s=1.5), 16000)
    return path
