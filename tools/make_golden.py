"""Makes the files of tests/golden: models trained on made-up words, each a tone.

    python tools/make_golden.py tests/golden

Takes a few minutes. What comes out recognises the same words, but is not the same to the last
byte on every machine.
"""

import argparse
import json
import shutil
import sys
import tempfile
from pathlib import Path

import numpy as np
import soundfile
import torch
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from tones import silence
from train.corpus import RATE_HZ, WORDS, tone, write_config

from halfbyte.export.onnx_model import compile_folder, export
from halfbyte.train.checkpoint import load_checkpoint, save_checkpoint
from halfbyte.train.config import load_config
from halfbyte.train.run import train

NUM_UTTERANCES = 300
LONGEST_PAUSE_S = 2.0
RECIPE = [
    *("loop.epochs=30", "optimizer.peak_rate=4e-3", "optimizer.warmup_steps=40"),
    *("data.batch_s=20", "augment.noise_chance=0", "augment.room_chance=0"),
    *("augment.frequency_masks=0", "augment.time_masks=0"),
    "tokens={kind: bpe, size: 19}",  # low and mid are a token each, high is two
]
INTEGER = ["name=tones-integer", "quantization.arithmetic=integer", "loop.epochs=8"]
MIXED = [  # WeNet's attention, and layers of every number format
    "name=tones-mixed",
    "model.encoder.relative_shift=false",
    "quantization.layers={encoder.layers.0.*.expand: w8a8, encoder.layers.1.*.expand: w4a4,"
    " encoder.layers.1.attention.query: float32, decoder.embedding: w8a8}",
]


def write_spoken_corpus(folder: Path) -> Path:
    """Utterances of up to five words with pauses; returns the folder."""
    random = np.random.default_rng(5)
    folder.mkdir()
    lines = []
    for i in range(NUM_UTTERANCES):
        words = random.choice(list(WORDS), size=i % 6)
        parts = [_pause(random)]
        for word in words:
            parts += [tone(WORDS[word], random), _pause(random)]
        samples = np.concatenate([*parts, silence(0.2, random)])
        soundfile.write(folder / f"{i}.wav", samples, RATE_HZ)
        line = {"audio_filepath": f"{i}.wav", "text": " ".join(words)}
        lines.append(json.dumps(line | {"duration": len(samples) / RATE_HZ}) + "\n")
    (folder / "train.jsonl").write_text("".join(lines))
    return folder


def _pause(random: np.random.Generator) -> NDArray[np.float32]:
    """Half of all pauses are none."""
    return silence(random.choice([0, LONGEST_PAUSE_S]) * random.random(), random)


def make_model_file(work: Path, path: Path, *more: str) -> None:
    """tones.hb and tones-integer.hb: W4A8 throughout."""
    config = load_config(work / "config.yaml", [*RECIPE, *more])
    result = train(config, work / f"run-{path.stem}")
    export(result, work / f"onnx-{path.stem}")
    compile_folder(work / f"onnx-{path.stem}", path)


def make_mixed_checkpoint(work: Path, folder: Path) -> None:
    """tones-mixed/: a checkpoint in fp16, for tests to export."""
    config = load_config(work / "config.yaml", [*RECIPE, *MIXED])
    config, tokenizer, model = load_checkpoint(train(config, work / "run-mixed"))
    config.data.root = config.data.cache = ""  # of a folder that will be gone
    shutil.rmtree(folder, ignore_errors=True)
    save_checkpoint(folder, config, tokenizer, model.state_dict(), torch.float16)


def main() -> None:
    """Train the models and write what the tests use."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("golden", type=Path, help="where the files go: tests/golden")
    golden = parser.parse_args().golden
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        write_config(work, write_spoken_corpus(work / "corpus"))
        make_model_file(work, golden / "tones.hb")
        make_model_file(work, golden / "tones-integer.hb", *INTEGER)
        make_mixed_checkpoint(work, golden / "tones-mixed")


if __name__ == "__main__":
    main()
