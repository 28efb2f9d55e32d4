"""The commands of the pages, typed in the order in which they stand, in one folder.

The folder holds what the pages take for granted: a configuration of a tiny model, manifests, a
recording, and in place of the included model's weights those of a tiny one. What is added to a
command so that it ends in seconds, and what is not typed here, stands in the tables below; that
those parse, and how the tutorial's commands run, is in test_tutorial.py.
"""

import json
import os
import shutil
from pathlib import Path

import pytest
import soundfile
import yaml
from commands import typed_commands
from tones import recording
from train.corpus import write_config, write_corpus

from halfbyte.cli import main

ROOT = Path(__file__).parents[1]

# In this order: each page may use what an earlier one made.
PAGES = (
    "docs/how-to/quantise.md",
    "docs/how-to/fine-tune.md",
    "docs/how-to/deploy.md",
    "docs/how-to/stream.md",
    "docs/data.md",
    "docs/training.md",
    "docs/index.md",
    "README.md",
    "recipes/en-voice/README.md",
    "docs/models.md",
)
FEWER = {
    "halfbyte train": ["loop.epochs=1", "optimizer.warmup_steps=1"],
    "halfbyte quantize": ["--utterances", "2"],
    "halfbyte bench sensitivity": ["--utterances", "1"],
}
TINY = "recipes/en-voice/config.yaml"  # what stands for its model of hours is that of the desk
ELSEWHERE = {
    "halfbyte teach": "tests/teach/test_teach.py",  # needs the included model's weights
    "halfbyte listen": "tests/cli/test_listen.py",  # needs a microphone
    "halfbyte serve": "tests/serve/test_process.py",  # never ends
    "halfbyte bench quantization": "tests/measure/test_quantization_bench.py",  # hours
}


def shrunk(words: list[str]) -> list[str]:
    """Overrides that make the recipe's model the tiny one of the desk."""
    if TINY not in words:
        return []
    config = yaml.safe_load(Path("config.yaml").read_text(encoding="utf-8"))
    sections = {"model", "tokens", "optimizer", "loop"} & config.keys()
    data = {key: config["data"][key] for key in ("cache", "batch_s")}
    return [
        f"{section}.{key}={json.dumps(value)}"
        for section, keys in [("data", data), *((name, config[name]) for name in sorted(sections))]
        for key, value in keys.items()
    ]


def key_of(words: list[str]) -> str:
    return " ".join(words[: 3 if words[1] == "bench" else 2])


@pytest.fixture(scope="module")
def desk(tmp_path_factory) -> Path:
    """The folder that a reader sits in."""
    folder = tmp_path_factory.mktemp("desk")
    write_config(folder, write_corpus(folder, num_utterances=6))
    for name in ("dev", "test", "my"):
        shutil.copy(folder / "train.jsonl", folder / f"{name}.jsonl")
    soundfile.write(folder / "talk.wav", recording("low high"), 16000)
    recordings = folder / "recordings"
    recordings.mkdir()
    shutil.copy(folder / "talk.wav", recordings)
    (recordings / "words.csv").write_text("file,text\ntalk.wav,low high\n")
    (folder / "recipes").symlink_to(ROOT / "recipes")
    (folder / "speech").mkdir()
    for corpus in yaml.safe_load((ROOT / TINY).read_text())["data"]["train"]:
        (folder / "speech" / Path(corpus).parent).symlink_to(folder)
    return folder


def stand_in(desk: Path, checkpoint: str) -> None:
    """The tiny model in place of one of the repository's checkpoints."""
    if not (desk / checkpoint).exists():
        shutil.copytree(desk / "runs" / "float" / "result", desk / checkpoint)


@pytest.fixture(scope="module", params=PAGES)
def page(request) -> str:
    return request.param


def test_the_commands_of_the_page_run(page, desk, monkeypatch, capsys):
    monkeypatch.chdir(desk)
    monkeypatch.setenv("HALFBYTE_DATA", str(desk / "speech"))
    commands = [words for words in typed_commands(ROOT / page) if words[0] == "halfbyte"]
    typed = [words for words in commands if key_of(words) not in ELSEWHERE]
    assert typed
    for words in typed:
        for checkpoint in (word for word in words if word.startswith("models/")):
            stand_in(desk, checkpoint)
        words = [os.path.expandvars(word) for word in words]
        status = main([*words[1:], *shrunk(words), *FEWER.get(key_of(words), [])])
        assert status == 0, f"{' '.join(words)}: {capsys.readouterr().err}"


def test_what_is_not_typed_here_is_tested_elsewhere():
    commands = [w for p in PAGES for w in typed_commands(ROOT / p) if w[0] == "halfbyte"]
    assert {key_of(words) for words in commands} >= ELSEWHERE.keys()
    for test in ELSEWHERE.values():
        assert (ROOT / test).is_file()
