"""A stream gives the same bits on every instruction set, forced in a process of its own."""

import hashlib
import json
import os
import subprocess
import sys
from array import array
from pathlib import Path

import pytest
from isas import ISAS
from listen.metadata import MODES
from listen.streams import feed, noting_stream
from paths import TONES
from tones import recording

from halfbyte import Recognizer, StreamOptions, _core

TESTS = Path(__file__).parents[1]
SPEECH = sorted((TESTS / "data").glob("*.wav"))


def picture() -> dict[str, object]:
    """Instruction set, events and a digest of all encoder outputs, of tones and of speech."""
    recognizer = Recognizer(TONES)
    samples = [array("f", recording("low high mid", pause_s=0.9).tobytes())]
    samples += [_core.audio.WavReader(path).read(1 << 20) for path in SPEECH]
    digest, events = hashlib.sha256(), []
    for chunk_ms in (0, 40, 320):
        for mode in MODES:
            for one in samples:
                stream, model = noting_stream(recognizer, StreamOptions(chunk_ms, mode))
                events += [repr(event) for event in feed(stream, one, 16000)]
                digest.update(b"".join(model.outputs))
    return {"isa": _core.kernels.default_isa(), "events": events, "digest": digest.hexdigest()}


@pytest.fixture(scope="module")
def expected() -> dict[str, object]:
    return picture()


@pytest.mark.parametrize("isa", ISAS)
def test_every_instruction_set_gives_the_same_bits(expected, isa):
    code = "from listen.test_instruction_sets import *; print(json.dumps(picture()))"
    path = os.pathsep.join([str(TESTS), *sys.path])
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | {"HALFBYTE_ISA": isa, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(done.stdout) == expected | {"isa": isa}
