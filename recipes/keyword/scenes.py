"""Scenes of twenty command words among other speech: what a spotter learns from and is tried on.

    python recipes/keyword/scenes.py SPEECH FOLDER

SPEECH holds the corpora as docs/data.md lists them. FOLDER gets recordings and manifests with the
places of words: `train.jsonl`, and for dev and test `SPLIT-words.jsonl` (of one speaker each) and
`SPLIT-others.jsonl`, in whose `intervals` a word is said at a place that nobody knows.

A scene is a handful of recordings one after another with pauses between them, at random offsets,
so that words stand in a running stream. Training takes other speech only where its text has none
of the words.

Where a word lies in its clip, no corpus says. It is taken to last from where 2 % of the clip's
sound has been heard to where 97 % has: the amplitude of 10 ms frames above that of the clip's quiet
frames (the lower quartile), of which clicks at the edges have little, and steady noise none.
"""

import json
import sys
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from numpy.typing import NDArray

from halfbyte.data.audio import read_audio
from halfbyte.data.manifest import Utterance, read_manifest

WORDS = (
    *("yes", "no", "up", "down", "left", "right", "on", "off", "stop", "go"),
    *("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"),
)
MORE_CLIPS = "speech_commands_four"  # further clips of a few words, if SPEECH has them
LEARNED = ("common_voice", "librispeech_clean5", "speechocean762", "wuw2", "noise_esc50")
OTHERS = {  # whole recordings in which alarms are false; no speaker of training is among them
    "dev": [
        *("common_voice/dev", "librispeech_clean5/dev", "speechocean762/dev", "wuw2/dev"),
        *("kathleen/train", "ljspeech/train", "librispeech/train"),
    ],
    "test": [
        *("common_voice/test", "librispeech_clean5/test", "speechocean762/test", "wuw2/test"),
        *("an4/train", "an4/test", "vctk_p239/train", "asterisk_en/train", "wake_words/test"),
        "noise_esc50/test",
    ],
}
RATE_HZ, FRAME_S = 16000, 0.01
BEGIN, END = 0.02, 0.97  # shares of the sound of a clip
SCENE_S, PIECE_S = 6.0, 3.0  # least length of a scene; longest piece of other speech
LONG_SCENE_S = 60.0
PAUSE_S, PAUSE_DB = (0.05, 0.4), (-75.0, -45.0)

Samples = NDArray[np.float32]
Place = dict[str, Any]


def place_of_word(samples: Samples) -> tuple[float, float]:
    """Where the word in a clip begins and ends, in seconds; samples (S,) float32 at RATE_HZ."""
    frame = round(FRAME_S * RATE_HZ)
    frames = samples[: len(samples) // frame * frame].reshape(-1, frame)
    amplitude = np.sqrt(np.square(frames).mean(axis=1))
    above = np.maximum(amplitude - np.quantile(amplitude, 0.25), 0)
    share = np.cumsum(above) / max(1e-12, above.sum())
    first, last = np.searchsorted(share, (BEGIN, END))
    return float(first) * FRAME_S, float(last + 1) * FRAME_S


def words_in(utterance: Utterance) -> list[str]:
    """The command words that a text has."""
    return [word for word in WORDS if word in utterance.text.split()]


class Scene:
    """A recording that grows piece by piece."""

    def __init__(self, random: np.random.Generator):
        self._random = random
        self._parts: list[Samples] = []
        self.places: list[Place] = []
        self.texts: list[str] = []

    @property
    def duration_s(self) -> float:
        """Of what is there."""
        return sum(map(len, self._parts)) / RATE_HZ

    def add(self, utterance: Utterance, samples: Samples) -> None:
        """A pause, then the samples; of a clip the place of its word, of others all of them."""
        level = 10 ** (self._random.uniform(*PAUSE_DB) / 20)
        length = int(RATE_HZ * self._random.uniform(*PAUSE_S))
        self._parts.append(np.float32(level) * self._random.standard_normal(length, np.float32))
        start_s, end_s = 0.0, len(samples) / RATE_HZ
        if utterance.text in WORDS:
            start_s, end_s = place_of_word(samples)
        for word in words_in(utterance):
            start, end = (round(self.duration_s + at_s, 3) for at_s in (start_s, end_s))
            self.places.append({"start": start, "end": end, "label": word})
        self._parts.append(samples)
        self.texts.append(utterance.text)

    def write(self, folder: Path, name: str, speaker: str) -> str:
        """Write the recording; returns its line of a manifest."""
        samples = np.concatenate(self._parts)
        soundfile.write(folder / f"{name}.wav", samples.clip(-1, 1), RATE_HZ, "PCM_16")
        line = {"id": name, "audio_filepath": f"{name}.wav", "duration": self.duration_s}
        text = " ".join(filter(None, self.texts))
        return (
            json.dumps(line | {"text": text, "speaker": speaker, "intervals": self.places}) + "\n"
        )


def scenes(
    utterances: list[Utterance], folder: Path, name: str, least_s: float, piece_s: float | None
) -> Iterator[str]:
    """Scenes of utterances in their order; lines of a manifest."""
    random = np.random.default_rng(1)
    number, scene = 0, Scene(random)
    for i, utterance in enumerate(utterances):
        samples = read_audio(utterance.audio_path, RATE_HZ)
        if piece_s is not None and len(samples) > piece_s * RATE_HZ:
            first = int(random.integers(len(samples) - int(piece_s * RATE_HZ)))
            samples = samples[first : first + int(piece_s * RATE_HZ)]
        scene.add(utterance, samples)
        if scene.duration_s >= least_s or i + 1 == len(utterances):
            yield scene.write(folder, f"{name}-{number}", utterance.speaker)
            number, scene = number + 1, Scene(random)


def clips_of(speech: Path, split: str) -> list[Utterance]:
    """Clips of single words."""
    paths = [speech / corpus / f"{split}.jsonl" for corpus in ("speech_commands", MORE_CLIPS)]
    return [clip for path in paths if path.exists() for clip in read_manifest(path)]


def write_training(speech: Path, folder: Path) -> None:
    """Words and other speech, shuffled."""
    found = clips_of(speech, "train")
    for corpus in LEARNED:
        others = read_manifest(speech / corpus / "train.jsonl")
        found += [utterance for utterance in others if not words_in(utterance)]
    order = np.random.default_rng(0).permutation(len(found))
    lines = scenes([found[i] for i in order], folder, "train", SCENE_S, PIECE_S)
    (folder / "train.jsonl").write_text("".join(lines))
    noises = read_manifest(speech / "noise_esc50/train.jsonl")
    paths = [
        {"audio_filepath": str(n.audio_path.resolve()), "duration": n.duration_s} for n in noises
    ]
    lines = (json.dumps(path | {"intervals": []}) + "\n" for path in paths)
    (folder / "noise.jsonl").write_text("".join(lines))


def write_trials(speech: Path, folder: Path, split: str) -> None:
    """Words, speaker by speaker, and other speech."""
    clips = clips_of(speech, split)
    by_speaker = groupby(sorted(clips, key=lambda u: u.speaker), key=lambda u: u.speaker)
    lines = [
        line
        for speaker, own in by_speaker
        for line in scenes(list(own), folder, f"{split}-{speaker}", LONG_SCENE_S, None)
    ]
    (folder / f"{split}-words.jsonl").write_text("".join(lines))
    others = [u for name in OTHERS[split] for u in read_manifest(speech / f"{name}.jsonl")]
    lines = list(scenes(others, folder, f"{split}-others", LONG_SCENE_S, None))
    (folder / f"{split}-others.jsonl").write_text("".join(lines))


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    source, target = Path(sys.argv[1]), Path(sys.argv[2])
    target.mkdir(parents=True, exist_ok=True)
    write_training(source, target)
    for part in ("dev", "test"):
        write_trials(source, target, part)
