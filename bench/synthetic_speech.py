"""Endless synthetic speech: any utterance of a stream from its seed and its number.

Sentences are stretches of the corpora's transcripts or come from a small grammar; espeak-ng speaks
them in many voices, rates and pitches; level and white noise differ too.
"""

import functools
import io
import json
import os
import re
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray

from halfbyte.errors import UsageError

ACCENTS = [
    *("en-us", "en-gb", "en-gb-scotland", "en-gb-x-rp", "en-gb-x-gbclan"),
    *("en-gb-x-gbcwmd", "en-029"),
]
VARIANTS = ["", *(f"+f{i}" for i in range(1, 6)), *(f"+m{i}" for i in range(1, 9))]
WORDS_A_MINUTE, PITCH = (130, 230), (20, 80)  # espeak-ng's own units; its defaults are 175 and 50
SNR_DB, LEVEL_DB = (10.0, 40.0), (-18.0, 0.0)
MOST_WORDS = 6
GRAMMAR_SHARE = 0.5
SAMPLE_RATE_HZ = 16000

NUMBERS = ["one", "two", "three", "four", "five", "six", "eight", "ten", "twelve", "thirty"]
ROOMS = ["kitchen", "bedroom", "garden", "hall", "office", "bathroom", "cellar", "garage"]
THINGS = ["light", "lamp", "radio", "heater", "fan", "door", "window", "alarm", "music"]
NAMES = ["anna", "peter", "maria", "john", "susan", "david", "laura", "thomas", "emma"]
TIMES = ["now", "today", "tomorrow", "tonight", "later"]
PATTERNS: list[list[str | Sequence[str]]] = [  # words, and choices of words
    ["turn", ("on", "off"), "the", ROOMS, THINGS],
    ["set", "the", THINGS, "to", NUMBERS],
    [("open", "close", "lock"), "the", ROOMS, ("door", "window", "curtain")],
    ["call", NAMES, TIMES],
    ["wake", "me", "in", NUMBERS, ("minutes", "hours")],
    [NAMES, "is", "in", "the", ROOMS],
    [NUMBERS, NUMBERS, NUMBERS, NUMBERS],
    ["what", "is", "the", ("time", "weather", "news"), TIMES],
]


@dataclass(frozen=True)
class Speech:
    """A sentence and how it sounds; samples (S,) float32 at SAMPLE_RATE_HZ."""

    text: str
    samples: NDArray[np.float32]


class Stream:
    """Utterances by number; two streams with other seeds share none.

    Args:
        texts: transcripts to cut stretches from.
        seed: of every draw.

    Raises:
        UsageError: espeak-ng is not installed, or there are no texts.
    """

    def __init__(self, texts: list[str], seed: int):
        if shutil.which("espeak-ng") is None:
            raise UsageError("espeak-ng is not installed; on Debian: apt-get install espeak-ng")
        self._texts = [words for text in texts if (words := plain_words(text))]
        if not self._texts:
            raise UsageError("no transcript has words; name manifests with texts in data.train")
        self._seed = seed

    def text(self, number: int) -> str:
        """The sentence of an utterance."""
        return self._sentence(self._random(number))

    def utterance(self, number: int) -> Speech:
        """An utterance, spoken now."""
        random = self._random(number)
        text = self._sentence(random)
        voice = str(random.choice(ACCENTS)) + str(random.choice(VARIANTS))
        rate, pitch = random.integers(*WORDS_A_MINUTE), random.integers(*PITCH)
        samples = speak(text, voice, int(rate), int(pitch))
        level = 10 ** (random.uniform(*LEVEL_DB) / 20)
        size = float(np.sqrt(np.mean(samples**2))) * 10 ** (-random.uniform(*SNR_DB) / 20)
        noisy = samples + random.normal(0.0, max(size, 1e-6), samples.shape)
        return Speech(text, (level * noisy).astype(np.float32))

    def _random(self, number: int) -> np.random.Generator:
        return np.random.Generator(np.random.Philox(key=[self._seed, number]))

    def _sentence(self, random: np.random.Generator) -> str:
        if random.random() < GRAMMAR_SHARE:
            pattern = PATTERNS[random.integers(len(PATTERNS))]
            parts = [(p,) if isinstance(p, str) else p for p in pattern]
            return " ".join(part[int(random.integers(len(part)))] for part in parts)
        words = self._texts[random.integers(len(self._texts))]
        count = int(random.integers(1, MOST_WORDS + 1))
        start = int(random.integers(max(1, len(words) - count + 1)))
        return " ".join(words[start : start + count])


@functools.cache  # cells hear the same utterances; speaking takes longer than training
def speak(text: str, voice: str, words_a_minute: int, pitch: int) -> NDArray[np.float32]:
    """What espeak-ng says, (S,) float32 at SAMPLE_RATE_HZ.

    Raises:
        UsageError: it fails.
    """
    options = ["-v", voice, "-s", str(words_a_minute), "-p", str(pitch), "--stdout"]
    done = subprocess.run(["espeak-ng", *options, "--", text], capture_output=True)
    if done.returncode != 0 or not done.stdout:
        raise UsageError(f"espeak-ng failed on {text!r} as {voice}: {done.stderr.decode()[:200]}")
    samples, rate_hz = soundfile.read(io.BytesIO(done.stdout), dtype="float32")
    return soxr.resample(samples, rate_hz, SAMPLE_RATE_HZ)


def plain_words(text: str) -> list[str]:
    """Lower-case words of letters and apostrophes."""
    return re.findall(r"[a-z][a-z']*", text.lower())


def transcripts(manifests: list[str]) -> list[str]:
    """Texts of manifests under HALFBYTE_DATA; their audio is not needed.

    Raises:
        UsageError: the variable is not set, or a manifest is missing.
    """
    root = os.environ.get("HALFBYTE_DATA")
    if not root:
        raise UsageError("HALFBYTE_DATA is not set; it names the folder of the corpora")
    texts = []
    for name in manifests:
        path = Path(root) / name
        if not path.is_file():
            raise UsageError(f"no manifest at {path}; HALFBYTE_DATA names another folder?")
        lines = path.read_text(encoding="utf-8").splitlines()
        texts += [str(json.loads(line).get("text", "")) for line in lines if line.strip()]
    return texts
