"""A spotter of tones, trained in both stages, exported and compiled."""

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
from toy.detector_run import write_tones
from train.corpus import RATE_HZ

from halfbyte.cli import main
from halfbyte.export.onnx_model import compile_folder, export

CONFIG = """\
name: tones
family: keyword
data: {{root: {folder}, train: [train.jsonl], dev: [train.jsonl], batch_s: 6,
       cache: {folder}/cache}}
features: {{num_mel_bins: 20}}
augment: {{time_masks: 0, noise_chance: 0.0}}
model: {{width: 32, bottleneck: 16, dilations: [1, 2], second_epochs: 6,
        positive_weight: 80}}
quantization: {{weights: tanh}}
optimizer: {{peak_rate: 1e-2, warmup_steps: 5}}
loop: {{epochs: 120, precision: 32-true, accelerator: cpu, average_last: 1, threads: 1}}
"""


def write_config(folder: Path) -> Path:
    path = folder / "config.yaml"
    path.write_text(CONFIG.format(folder=folder))
    return path


@pytest.fixture(scope="session")
def work(tmp_path_factory) -> Path:
    folder = write_tones(tmp_path_factory.mktemp("keyword"))
    noise = np.random.default_rng(3).normal(0, 0.01, 5 * RATE_HZ)
    soundfile.write(folder / "noise.wav", noise, RATE_HZ)
    line = {"audio_filepath": "noise.wav", "duration": 5.0, "intervals": []}
    (folder / "others.jsonl").write_text(json.dumps(line) + "\n")
    assert main(["train", str(write_config(folder)), "--run", str(folder / "run")]) == 0
    export(folder / "run" / "result", folder / "onnx")
    compile_folder(folder / "onnx", folder / "tones.hb")
    return folder
