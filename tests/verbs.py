"""Running verbs: in this process, or as a user does, in one of their own."""

import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from halfbyte.cli import main


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


def calling(capfd: pytest.CaptureFixture[str]) -> Callable[..., Outcome]:
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
