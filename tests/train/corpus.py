"""A made-up corpus that trains in seconds: words are pairs of tones."""

import json
from pathlib import Path

import numpy as np
import soundfile

WORDS = {"low": 300.0, "mid": 900.0, "high": 2700.0}
RATE_HZ = 16000


def write_corpus(folder: Path, num_utterances: int = 18) -> Path:
    """Write wavs and `train.jsonl`; returns the folder."""
    random = np.random.default_rng(5)
    folder.mkdir(parents=True, exist_ok=True)
    lines = []
    for i in range(num_utterances):
        words = random.choice(list(WORDS), size=1 + i % 3)
        samples = np.concatenate([tone(WORDS[w], random) for w in words])
        soundfile.write(folder / f"{i}.wav", samples, RATE_HZ)
        lines.append(
            {
                "id": str(i),
                "audio_filepath": f"{i}.wav",
                "text": " ".join(words),
                "duration": len(samples) / RATE_HZ,
                "speaker": f"s{i % 3}",
            }
        )
    (folder / "train.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return folder


def tone(hz: float, random: np.random.Generator) -> np.ndarray:
    """0.4 s of a tone with noise between two short silences."""
    seconds = np.arange(int(0.4 * RATE_HZ)) / RATE_HZ
    sound = 0.3 * np.sin(2 * np.pi * hz * seconds)
    return np.pad(sound, 800) + 0.01 * random.standard_normal(len(sound) + 1600)


def write_config(folder: Path, corpus: Path) -> Path:
    """A configuration of a model small enough for a test."""
    path = folder / "config.yaml"
    path.write_text(f"""\
name: tones
family: u2
data:
  root: {corpus}
  train: [train.jsonl]
  dev: [train.jsonl]
  noise: [train.jsonl]
  cache: {folder}/cache
  batch_s: 4.0
tokens: {{kind: characters, size: 20}}
model:
  encoder: {{width: 32, num_heads: 2, num_layers: 2, feed_forward: 48, kernel: 5,
             subsampling: 4, subsampling_channels: 8, left_context: 16}}
  decoder: {{num_layers: 1, num_heads: 2, feed_forward: 48}}
  dynamic_chunk: 8
optimizer: {{warmup_steps: 5}}
loop: {{epochs: 2, precision: 32-true, accelerator: cpu, checkpoint_steps: 3, average_last: 2,
        threads: 1}}
""")
    return path
