"""Recordings of tones whose places are known, and the configuration of a detector of them."""

import json
from pathlib import Path

import numpy as np
import soundfile
from train.corpus import RATE_HZ, WORDS, tone

LEAD_S, TONE_S = 0.05, 0.4  # of a tone, in the half second that holds it


def write_tones(folder: Path, num_recordings: int = 12) -> Path:
    """Recordings of two tones each, with the intervals that hold them and no text."""
    random = np.random.default_rng(7)
    lines = []
    for i in range(num_recordings):
        names = random.choice(list(WORDS), size=2)
        samples = np.concatenate([tone(WORDS[name], random) for name in names])
        soundfile.write(folder / f"{i}.wav", samples, RATE_HZ)
        starts = [0.5 * place + LEAD_S for place in range(2)]
        intervals = [
            {"start": start, "end": start + TONE_S, "label": str(name)}
            for start, name in zip(starts, names, strict=True)
        ]
        line = {"audio_filepath": f"{i}.wav", "duration": 1.0, "intervals": intervals}
        lines.append(json.dumps(line) + "\n")
    (folder / "train.jsonl").write_text("".join(lines))
    return folder


def write_config(folder: Path) -> Path:
    path = folder / "config.yaml"
    path.write_text(f"""\
name: tones
family: toy.frame_detector
data: {{root: {folder}, train: [train.jsonl], dev: [train.jsonl], batch_s: 6,
       cache: {folder}/cache}}
augment: {{time_masks: 0, noise_chance: 0.0, background_chance: 0.5,
          background_before_s: [0.0, 0.3], joined_chance: 0.3}}
optimizer: {{peak_rate: 2e-2, warmup_steps: 5}}
loop: {{epochs: 30, precision: 32-true, accelerator: cpu, average_last: 1, threads: 1}}
""")
    return path
