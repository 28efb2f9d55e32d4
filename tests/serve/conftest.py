"""Models of the tests of this folder, and a server as a user starts it."""

import logging
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile
from paths import TONES
from serve.clients import stream_finals
from tones import recording

from halfbyte import Recognizer


@pytest.fixture(scope="session")
def recognizer() -> Recognizer:
    return Recognizer()


@pytest.fixture(scope="module")
def complaints():
    """What the server logs."""
    records: list[logging.LogRecord] = []
    handler = logging.Handler()
    handler.emit = records.append
    logging.getLogger("halfbyte.serve").addHandler(handler)
    yield records
    logging.getLogger("halfbyte.serve").removeHandler(handler)


@pytest.fixture(scope="session")
def server() -> Iterator[SimpleNamespace]:
    """`halfbyte serve` with the model of tones: url, port, wyoming_port."""
    command = [sys.executable, "-m", "halfbyte", "serve", "--model", str(TONES)]
    command += ["--port", "0", "--wyoming-port", "0"]
    environment = {name: value for name, value in os.environ.items() if name != "HALFBYTE_TOKEN"}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        try:
            url = process.stdout.readline().strip()
            wyoming = process.stdout.readline().strip()
            assert re.fullmatch(r"http://127\.0\.0\.1:\d+", url)
            assert re.fullmatch(r"tcp://127\.0\.0\.1:\d+", wyoming)
            ports = [int(address.rpartition(":")[2]) for address in (url, wyoming)]
            yield SimpleNamespace(url=url, port=ports[0], wyoming_port=ports[1])
        finally:
            process.terminate()


@pytest.fixture(scope="session")
def tones() -> Recognizer:
    """A recogniser of made-up words that it never mishears."""
    return Recognizer(TONES)


@pytest.fixture(scope="session")
def talk(tmp_path_factory) -> Path:
    """A recording of three segments for the model of tones."""
    path = tmp_path_factory.mktemp("audio") / "talk.wav"
    samples = recording("low high mid low", pause_s=0.3)
    more = recording("mid low", pause_s=1.5, seed=2)
    soundfile.write(path, np.concatenate([samples, more]), 16000, subtype="PCM_16")
    return path


@pytest.fixture(scope="session")
def finals(tones, talk) -> list[dict]:
    """What `halfbyte transcribe --stream` finds in the talk."""
    found = [final for final in stream_finals(tones, talk) if final["text"]]
    assert len(found) > 1
    return found


@pytest.fixture(scope="session")
def text(finals) -> str:
    return " ".join(final["text"] for final in finals)
