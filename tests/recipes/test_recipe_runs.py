"""The recipes of large corpora run from a tree as unpacked to weights, scaled down."""

import os
import shlex
import subprocess
from pathlib import Path

import pytest
import yaml
from recipes.layouts import write_aishell, write_librispeech

from halfbyte.cli import main

RECIPES = Path(__file__).parents[2] / "recipes"
TINY = (
    "model.encoder={width: 16, num_heads: 2, num_layers: 1, feed_forward: 16, kernel: 3,"
    " subsampling: 4, subsampling_channels: 4, relative_shift: false, left_context: 16}",
    "model.decoder={num_layers: 1, num_heads: 2, feed_forward: 16}",
    "loop.epochs=1",
    "loop.precision=32-true",
    "loop.accelerator=cpu",
    "loop.threads=1",
    "data.workers=0",
)
TREES = {"librispeech": write_librispeech, "aishell": write_aishell}
FEW_TOKENS = {"librispeech": ["tokens.size=30"], "aishell": []}


def typed(folder: Path, recipe: str, *arguments: str) -> list[list[str]]:
    """Words of the `halfbyte` commands that recipes/run.sh gives, none of which is run."""
    program, told = folder / "halfbyte", folder / "commands"
    program.write_text(f"#!/bin/bash\nprintf '%q ' \"$@\" >> '{told}'\necho >> '{told}'\n")
    program.chmod(0o755)
    environment = os.environ | {"PATH": f"{folder}:{os.environ['PATH']}"}
    subprocess.run([RECIPES / "run.sh", recipe, *arguments], check=True, env=environment)
    return [shlex.split(line) for line in told.read_text().splitlines()]


@pytest.mark.parametrize("recipe", TREES)
def test_a_step_is_trained_from_the_corpus_as_unpacked(tmp_path, capfd, recipe):
    corpus, run = TREES[recipe](tmp_path / "corpus"), tmp_path / "run"
    overrides = [*TINY, *FEW_TOKENS[recipe], f"data.cache={tmp_path / 'cache'}"]
    lines = typed(tmp_path, recipe, str(corpus), str(run), *overrides)
    verbs = ["prepare", "train", "export", "compile", "info", "eval"]
    assert [words[0] for words in lines] == verbs
    for words in lines[:2]:  # what follows is alike for all models, and tested with others
        assert main(words) == 0, capfd.readouterr().err
    written = yaml.safe_load((run / "train" / "result" / "config.yaml").read_text())
    assert written["quantization"]["default"] == "w4a8"
    assert lines[2][1] == str(run / "train" / "result")
    assert Path(lines[5][2]).is_file()
