"""Teach Whisper's encoder to stream: its full-context self, distilled into chunks, without texts.

    HALFBYTE_DATA=/data/speech python recipes/en-voice/distil.py model.bin RUN --steps 1500
    ... RUN-w4a8 --from RUN/student.safetensors --format w4a8     # a native continuation

Goes on where it stopped. RUN/metrics.jsonl has a line every 20 steps, RUN/student.safetensors
the newest weights in half precision.
"""

import argparse
import io
import itertools
import json
import math
import os
import time
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file
from safetensors.torch import save as serialized

from halfbyte.blocks.whisper import WhisperConfig, WhisperEncoder
from halfbyte.blocks.whisper_import import encoder_state, read_ctranslate2
from halfbyte.data.audio_store import AudioStore
from halfbyte.data.manifest import read_manifest
from halfbyte.files import write_whole
from halfbyte.ops.native import make_native
from halfbyte.quant.formats import LayerMap
from halfbyte.train.masked_distillation import (
    Lesson,
    Samples,
    Teacher,
    draw_chunk,
    lesson,
    masked_loss,
)

CORPORA = (
    "an4",
    "asterisk_en",
    "common_voice",
    "kathleen",
    "librispeech",
    "librispeech_clean5",
    "ljspeech",
    "speech_commands",
    "speechocean762",
    "vctk_p239",
    "wake_words",
    "wuw2",
)
RATE_HZ = 16000
LONGEST_S = 20.0
JOINED_BELOW_S, JOINED_UP_TO_S = 4.0, 9.0  # short clips are joined, or half would be padding
GAP_S = (0.1, 0.8)
TAIL_S = (0.2, 3.0)  # of silence, as an endpointer leaves behind what was said
BATCH_S = 30.0
NOISE_CHANCE, SNR_DB, GAIN_DB = 0.3, (5.0, 30.0), (-15.0, 5.0)
LOG_STEPS = 20
STATE, LOG, STUDENT = "last.pt", "metrics.jsonl", "student.safetensors"


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("whisper", type=Path, help="a CTranslate2 model.bin of tiny.en")
    parser.add_argument("run", type=Path)
    parser.add_argument("--steps", type=int, default=1500)
    parser.add_argument("--rate", type=float, default=2e-4)
    parser.add_argument("--format", default="float32")
    parser.add_argument("--from", dest="start", type=Path)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--checkpoint-steps", type=int, default=100)
    return parser.parse_args()


class Speech:
    """Training clips and noises, decoded once; batches are a function of (seed, step)."""

    def __init__(self, root: Path, cache: Path, seed: int):
        clips = [u for c in CORPORA for u in read_manifest(root / c / "train.jsonl")]
        clips += read_manifest(root / "librispeech" / "unlabelled.jsonl")
        self._clips = [u for u in clips if 0.3 < u.duration_s < LONGEST_S]
        self._samples = AudioStore(self._clips, cache, RATE_HZ)
        noises = read_manifest(root / "noise_esc50" / "train.jsonl")
        self._noises = AudioStore(noises, cache, RATE_HZ)
        self._seed = seed
        self.hours = sum(u.duration_s for u in self._clips) / 3600

    def batches(self, epoch: int) -> list[list[list[int]]]:
        """Batches of groups of clips; a group is heard as one."""
        random = np.random.Generator(np.random.Philox(key=[self._seed, epoch]))
        groups = _groups([u.duration_s for u in self._clips], random)
        seconds = [sum(self._clips[i].duration_s for i in group) for group in groups]
        order = sorted(range(len(groups)), key=lambda i: seconds[i] + random.random())
        batches: list[list[list[int]]] = [[]]
        for i in order:
            if batches[-1] and seconds[i] * (len(batches[-1]) + 1) > BATCH_S:
                batches.append([])
            batches[-1].append(groups[i])
        return [batches[i] for i in random.permutation(len(batches))]

    def clips(self, batch: list[list[int]], step: int) -> list[tuple[Samples, Samples]]:
        """What the student hears, and what is clean, of each group."""
        random = np.random.Generator(np.random.Philox(key=[self._seed + 1000, step]))
        return [self._clip(group, random) for group in batch]

    def _clip(self, group: list[int], random: np.random.Generator) -> tuple[Samples, Samples]:
        parts: list[Samples] = []
        for i in group:
            if parts:
                parts.append(np.zeros(int(random.uniform(*GAP_S) * RATE_HZ), np.float32))
            parts.append(self._samples[i])
        tail = np.zeros(int(random.uniform(*TAIL_S) * RATE_HZ), np.float32)
        clean = np.concatenate([*parts, tail])
        heard = self._noisy(clean, random) if random.random() < NOISE_CHANCE else clean
        gain = 10.0 ** (random.uniform(*GAIN_DB) / 20.0)
        return np.clip(heard * np.float32(gain), -1.0, 1.0), clean

    def _noisy(self, clean: Samples, random: np.random.Generator) -> Samples:
        noise = self._noises[int(random.integers(len(self._noises)))]
        noise = np.resize(np.roll(noise, int(random.integers(len(noise)))), clean.shape)
        power = float(np.square(clean).mean()) / max(1e-9, float(np.square(noise).mean()))
        return clean + noise * np.float32(
            math.sqrt(power) * 10.0 ** (-random.uniform(*SNR_DB) / 20.0)
        )


def _groups(seconds: list[float], random: np.random.Generator) -> list[list[int]]:
    """Clips in random order, short ones joined."""
    groups, open_group, length = [], [], 0.0
    for i in map(int, random.permutation(len(seconds))):
        if seconds[i] >= JOINED_BELOW_S:
            groups.append([i])
            continue
        open_group, length = [*open_group, i], length + seconds[i]
        if length > random.uniform(1.0, JOINED_UP_TO_S):
            groups.append(open_group)
            open_group, length = [], 0.0
    return groups + ([open_group] if open_group else [])


def student_of(options: argparse.Namespace, weights: dict[str, torch.Tensor]) -> WhisperEncoder:
    """The encoder as it ships, in its number format, from Whisper's weights or an earlier leg's."""
    student = WhisperEncoder(WhisperConfig())
    if options.start:
        state = {name: value.float() for name, value in load_file(options.start).items()}
    else:
        state = student.state_dict() | encoder_state(weights, student.config.activation)
    student.load_state_dict(state)
    make_native(student, LayerMap(options.format, {}))
    return student.train()


def teacher_of(weights: dict[str, torch.Tensor]) -> Teacher:
    encoder = WhisperEncoder(WhisperConfig(activation="gelu"))
    encoder.load_state_dict(encoder.state_dict() | encoder_state(weights, "gelu"))
    return Teacher(encoder)


def rate_at(step: int, options: argparse.Namespace) -> float:
    """Fifty steps up, then a cosine down to a fiftieth."""
    falling = 0.51 + 0.49 * math.cos(math.pi * min(1.0, step / options.steps))
    return float(options.rate * min(1.0, (step + 1) / 50) * falling)


def saved(value: object) -> bytes:
    file = io.BytesIO()
    torch.save(value, file)
    return file.getvalue()


def save(run: Path, student: WhisperEncoder, optimizer: torch.optim.Optimizer, step: int) -> None:
    state = {"student": student.state_dict(), "optimizer": optimizer.state_dict(), "step": step}
    write_whole(run / STATE, saved(state))
    halves = {name: value.half() for name, value in student.state_dict().items()}
    write_whole(run / STUDENT, serialized(halves))


def log(run: Path, step: int, losses: dict[int, list[float]], **measured: float) -> None:
    """A line of means over all chunks and for each of them."""
    line = {"step": step, "loss": float(np.mean(np.concatenate(list(losses.values()))))}
    line |= {f"loss_{chunk}": float(np.mean(values)) for chunk, values in sorted(losses.items())}
    rounded = {name: round(value, 5) for name, value in line.items()} | measured
    with open(run / LOG, "a") as file:
        file.write(json.dumps(rounded) + "\n")


def learn(
    student: WhisperEncoder,
    teacher: Teacher,
    optimizer: torch.optim.Optimizer,
    heard: Lesson,
    chunk_steps: int,
) -> float:
    """One step of the optimiser; its loss."""
    with torch.autocast("cpu", torch.bfloat16):
        loss = masked_loss(student, teacher.say(heard), heard, chunk_steps)
    optimizer.zero_grad()
    loss.backward()
    torch.nn.utils.clip_grad_norm_(student.parameters(), 1.0)
    optimizer.step()
    return float(loss.detach())


def resumed(run: Path, student: WhisperEncoder, optimizer: torch.optim.Optimizer) -> int:
    """Take up what an earlier call left; the next step."""
    if not (run / STATE).exists():
        run.mkdir(parents=True, exist_ok=True)
        return 0
    state = torch.load(run / STATE, weights_only=True)
    student.load_state_dict(state["student"])
    optimizer.load_state_dict(state["optimizer"])
    return int(state["step"])


def train(
    student: WhisperEncoder, teacher: Teacher, speech: Speech, options: argparse.Namespace
) -> None:
    optimizer = torch.optim.AdamW(student.parameters(), betas=(0.9, 0.98), weight_decay=0.01)
    first = resumed(options.run, student, optimizer)
    batches = itertools.chain.from_iterable(map(speech.batches, itertools.count()))
    losses: dict[int, list[float]] = {}
    start_s = time.monotonic()
    for step, batch in enumerate(itertools.islice(batches, first, options.steps), first):
        for group in optimizer.param_groups:
            group["lr"] = rate_at(step, options)
        heard = lesson(speech.clips(batch, step), teacher)
        chunk = draw_chunk(np.random.Generator(np.random.Philox(key=[options.seed + 2000, step])))
        losses.setdefault(chunk, []).append(learn(student, teacher, optimizer, heard, chunk))
        is_last = step + 1 == options.steps
        if (step + 1) % LOG_STEPS == 0 or is_last:
            log(options.run, step + 1, losses, wall_s=round(time.monotonic() - start_s, 1))
            losses = {}
        if (step + 1) % options.checkpoint_steps == 0 or is_last:
            save(options.run, student, optimizer, step + 1)


def main() -> None:
    options = arguments()
    torch.set_num_threads(options.threads)
    weights = read_ctranslate2(options.whisper)
    speech = Speech(Path(os.environ["HALFBYTE_DATA"]), options.run.parent / "cache", options.seed)
    print(f"{speech.hours:.1f} hours", flush=True)
    train(student_of(options, weights), teacher_of(weights), speech, options)


if __name__ == "__main__":
    main()
