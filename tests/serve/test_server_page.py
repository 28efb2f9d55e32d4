"""The examples of docs/server.md run, against a server as a user starts it."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

PAGE = (Path(__file__).parents[2] / "docs" / "server.md").read_text(encoding="utf-8")
SECTIONS = {
    title: re.search(r"```python\n(.*?)```", text, re.DOTALL)
    for title, text in re.findall(r"^## (.+?)\n(.*?)(?=^## |\Z)", PAGE, re.DOTALL | re.MULTILINE)
}
EXAMPLES = {title: match[1] for title, match in SECTIONS.items() if match}


@pytest.fixture
def here(tmp_path, talk):
    shutil.copy(talk, tmp_path / "talk.wav")
    return tmp_path


def at(server, code):
    """The example with the ports of the test's server."""
    return code.replace("8765", str(server.port)).replace("10300", str(server.wyoming_port))


def test_there_is_an_example_for_every_protocol():
    assert list(EXAMPLES) == ["OpenAI, files", "OpenAI, live", "Vosk", "WeNet", "Wyoming"]


@pytest.mark.parametrize("title", EXAMPLES)
def test_the_example_gives_the_words(server, here, finals, title):
    command = [sys.executable, "-W", "ignore", "-c", at(server, EXAMPLES[title])]
    done = subprocess.run(command, cwd=here, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
    shown = " ".join(done.stdout.split())
    assert len(finals) == 3
    assert all(final["text"] in shown for final in finals)


@pytest.mark.skipif(shutil.which("curl") is None, reason="NOT RUN: needs curl")
def test_the_example_with_curl(server, here, finals):
    (command,) = re.findall(r"```sh\n(curl .*?)\n```", PAGE, re.DOTALL)
    done = subprocess.run(
        ["bash", "-c", at(server, command)], cwd=here, capture_output=True, text=True, timeout=60
    )
    assert done.stdout.startswith("1\n00:00:00,")
    assert finals[0]["text"] in done.stdout
