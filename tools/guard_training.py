"""Small training runs of tools/guard.py, on made-up words that it makes itself."""

import json
import math
import random
import struct
import wave
from pathlib import Path
from typing import Any

from guard_checkout import Checkout, weights_digest

CONFIG = Path(__file__).resolve().parent / "guard.yaml"
WORDS = {"low": 300.0, "mid": 900.0, "high": 2700.0}  # each a tone, in Hz
RATE_HZ = 16000
NUM_UTTERANCES = 24
NUM_DEV = 4
NUM_HEARD = 4


def train_and_deploy(checkout: Checkout, settings: list[str], is_exported: bool) -> dict[str, Any]:
    """One loss an epoch, the weights at the end, and the model that they become."""
    with checkout.new_folder() as folder:
        tones, run = write_tones(folder / "tones"), folder / "run"
        folders = [f"data.root={tones}", f"data.cache={folder / 'cache'}"]
        checkout.halfbyte("train", str(CONFIG), "--run", str(run), *folders, *settings)
        lines = (run / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
        metrics = [json.loads(line) for line in lines]
        entry = {
            "losses": [line["loss"] for line in metrics],
            "steps": metrics[-1]["step"],
            "dev_wer": [line["dev_wer"] for line in metrics],
            "weights": weights_digest(run / "result"),
        }
        if is_exported:
            heard = sorted(tones.glob("*.wav"))[:NUM_HEARD]
            entry["deployed"] = checkout.deploy(run / "result", heard)
        return entry


def write_tones(folder: Path) -> Path:
    """WAV files of one to three words, a noise, and their manifests; returns the folder."""
    folder.mkdir()
    draw = random.Random(5)
    lines = []
    for i in range(NUM_UTTERANCES):
        words = draw.choices(list(WORDS), k=1 + i % 3)
        samples = [value for word in words for value in _tone(WORDS[word], draw)]
        lines.append(_write(folder, f"{i:02d}", samples, " ".join(words)))
    noise = [draw.gauss(0.0, 0.1) for _ in range(2 * RATE_HZ)]
    for name, chosen in (
        ("train", lines),
        ("dev", lines[:NUM_DEV]),
        ("noise", [_write(folder, "noise", noise, "")]),
    ):
        text = "".join(json.dumps(line) + "\n" for line in chosen)
        (folder / f"{name}.jsonl").write_text(text, encoding="utf-8")
    return folder


def _tone(hz: float, draw: random.Random) -> list[float]:
    """0.4 s of a tone between two short silences, with noise throughout."""
    inside = range(RATE_HZ // 20, RATE_HZ * 9 // 20)
    return [
        (0.3 * math.sin(2 * math.pi * hz * i / RATE_HZ) if i in inside else 0.0)
        + draw.gauss(0.0, 0.01)
        for i in range(RATE_HZ // 2)
    ]


def _write(folder: Path, name: str, samples: list[float], text: str) -> dict[str, Any]:
    """A 16-bit WAV file; returns its line of a manifest."""
    with wave.open(str(folder / f"{name}.wav"), "wb") as file:
        file.setparams((1, 2, RATE_HZ, 0, "NONE", ""))
        codes = [round(32767 * max(-1.0, min(1.0, value))) for value in samples]
        file.writeframes(struct.pack(f"<{len(codes)}h", *codes))
    duration_s = len(samples) / RATE_HZ
    return {"id": name, "audio_filepath": f"{name}.wav", "text": text, "duration": duration_s}
