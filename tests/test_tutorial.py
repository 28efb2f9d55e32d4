"""Every command of the documents is one that we take; those of the tutorial are run."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
from commands import shell_blocks, typed_commands
from train.corpus import RATE_HZ, WORDS, tone

from halfbyte.cli import _parse

ROOT = Path(__file__).parents[1]
TUTORIAL = ROOT / "docs" / "tutorial.md"
PAGES = sorted(
    [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("recipes/*/*.md")],
)
NAMES = dict(zip(WORDS, ("go", "left", "stop"), strict=True))


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.relative_to(ROOT).as_posix())
def test_commands_take_their_options(page):
    for words in typed_commands(page):
        words = words[: next((i for i, w in enumerate(words) if w in ("|", ">")), len(words))]
        if words[0] == "halfbyte":
            _parse(words[1:])  # ends the test with status 2 where it refuses
        else:
            assert (ROOT / next(w for w in words if w.startswith("recipes/"))).is_file()


def write_speech_commands(folder: Path) -> Path:
    """HALFBYTE_DATA with a Speech Commands of three made-up words."""
    random = np.random.default_rng(3)
    corpus = folder / "speech_commands"
    corpus.mkdir(parents=True)
    for speaker, split in enumerate(("train", "train", "train", "dev", "test")):
        lines = []
        for word, hz in WORDS.items():
            name = f"{NAMES[word]}-{speaker}.wav"
            samples = tone(hz * random.uniform(0.95, 1.05), random)
            soundfile.write(corpus / name, samples, RATE_HZ)
            line = {"id": name[:-4], "audio_filepath": name, "text": NAMES[word]}
            lines.append({**line, "duration": len(samples) / RATE_HZ, "speaker": f"s{speaker}"})
        with (corpus / f"{split}.jsonl").open("a") as file:
            file.writelines(json.dumps(line) + "\n" for line in lines)
    return folder


def write_program(folder: Path) -> Path:
    """A folder with `halfbyte` and `python` as an installation would put them on the path."""
    folder.mkdir()
    for name, words in (("halfbyte", "-m halfbyte"), ("python", "")):
        (folder / name).write_text(f'#!/bin/sh\nexec "{sys.executable}" {words} "$@"\n')
        (folder / name).chmod(0o755)
    return folder


def test_the_commands_of_the_tutorial_run(tmp_path):
    blocks = [block for block in shell_blocks(TUTORIAL) if block.is_run]
    script = "\n".join(["set -euo pipefail", *(block.script() for block in blocks)])
    place = tmp_path / "checkout"
    place.mkdir()
    (place / "recipes").symlink_to(ROOT / "recipes")
    # The folder at hand is on Python's path: this stands for the installed package of weights.
    (place / "halfbyte_en_voice_weights").symlink_to(ROOT / "models" / "en-voice")
    env = os.environ | {
        "PATH": f"{write_program(tmp_path / 'bin')}:{os.environ['PATH']}",
        "HALFBYTE_DATA": str(write_speech_commands(tmp_path / "speech")),
        "HOME": str(tmp_path),  # for the cache of decoded audio
    }
    done = subprocess.run(
        ["bash", "-c", script], cwd=place, env=env, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert (place / "mine.hb").is_file()
    assert "held-out recordings are right" in done.stdout
    assert (place / "runs" / "words" / "words.hb").is_file()
    assert (place / "runs" / "words" / "data" / "report.png").is_file()
    assert (place / "runs" / "float" / "result" / "weights.safetensors").is_file()
    assert "sentence_accuracy" in done.stdout
