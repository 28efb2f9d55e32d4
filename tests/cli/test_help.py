"""Every verb explains itself, with examples that it would take."""

import re
import shlex
import tomllib
from pathlib import Path

import pytest

from halfbyte.cli import VERBS, _parse


def test_the_program_lists_its_verbs(halfbyte):
    done = halfbyte("--help")
    assert (done.status, done.err) == (0, "")
    for verb, meaning in VERBS.items():
        assert re.search(rf"^ +{verb}\s+{re.escape(meaning[:20])}", done.out, re.MULTILINE)


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_examples_that_parse(halfbyte, verb):
    done = halfbyte(verb, "--help")
    assert (done.status, done.err) == (0, "")
    examples = re.findall(rf"^  (halfbyte {verb} .+)$", done.out, re.MULTILINE)
    assert len(examples) >= 1
    for example in examples:
        command = re.split(r"   +| [|>] ", example)[0]
        assert _parse(shlex.split(command)[1:]).verb == verb


def test_the_version_is_that_of_the_package(halfbyte):
    project = Path(__file__).parents[2] / "pyproject.toml"
    version = tomllib.loads(project.read_text())["project"]["version"]
    done = halfbyte("--version")
    assert (done.status, done.out, done.err) == (0, f"halfbyte {version}\n", "")
