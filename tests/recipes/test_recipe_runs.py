"""The recipes of large corpora run from a tree as unpacked to weights, scaled down."""

import shlex
from pathlib import Path
from string import Template

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


def commands(script: Path, variables: dict[str, str], overrides: list[str]) -> list[list[str]]:
    """Words of the `halfbyte` lines of a script, its variables and `"$@"` filled in."""
    found = []
    for line in script.read_text().splitlines():
        if line.startswith("halfbyte "):
            line = line.replace('"$@"', shlex.join(overrides))
            found.append(shlex.split(Template(line).substitute(variables))[1:])
    return found


@pytest.mark.parametrize("recipe", TREES)
def test_a_step_is_trained_from_the_corpus_as_unpacked(tmp_path, capfd, recipe):
    corpus, run = TREES[recipe](tmp_path / "corpus"), tmp_path / "run"
    variables = {"corpus": str(corpus), "run": str(run), "recipe": str(RECIPES / recipe)}
    overrides = [*TINY, *FEW_TOKENS[recipe], f"data.cache={tmp_path / 'cache'}"]
    lines = commands(RECIPES / recipe / "run.sh", variables, overrides)
    assert [words[0] for words in lines] == ["prepare", "train", "export", "compile", "eval"]
    for words in lines[:2]:  # what follows is alike for all models, and tested with others
        assert main(words) == 0, capfd.readouterr().err
    written = yaml.safe_load((run / "train" / "result" / "config.yaml").read_text())
    assert written["quantization"]["default"] == "w4a8"
    assert lines[2][1] == str(run / "train" / "result")
    assert Path(lines[4][2]).is_file()
