"""Features are the same bits on every instruction set, however many frames come at a time."""

import hashlib
import os
import subprocess
import sys
from array import array
from pathlib import Path

from isas import ISAS

from halfbyte import _core

SPEECH = sorted((Path(__file__).parents[1] / "data").glob("*.wav"))
OPTIONS = [(), (8000, 40, 32, 8, 100.0, -100.0)]


def digest() -> str:
    """Of features of speech and of digital silence, in pieces of several lengths."""
    found = hashlib.sha256()
    sounds = [_core.audio.WavReader(path).read(1 << 20) for path in SPEECH]
    for samples in [*sounds, memoryview(array("f", bytes(4 * 4000)))]:
        for options in OPTIONS:
            for piece in (1777, 160, 1 << 20):
                fbank = _core.audio.Fbank(*options)
                for start in range(0, len(samples), piece):
                    fbank.accept(samples[start : start + piece])
                found.update(bytes(fbank.peek(1 << 20)))
    return found.hexdigest()


def test_features_are_equal_on_every_instruction_set():
    code = f"import runpy; print(runpy.run_path({__file__!r})['digest']())"
    path = os.pathsep.join([str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH", "")])
    for isa in ISAS:
        environment = {**os.environ, "HALFBYTE_ISA": isa, "PYTHONPATH": path}
        command = [sys.executable, "-c", code]
        result = subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE)
        assert result.stdout.decode().strip() == digest()
