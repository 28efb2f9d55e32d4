"""What the released model hears of people: where, after zeros, and no worse by rescoring."""

import json
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from halfbyte import EndpointRule, Recognizer, StreamOptions, Word, finals
from halfbyte.data.audio import read_audio
from halfbyte.scores.words import Errors, count_errors

pytestmark = pytest.mark.corpora

RATE_HZ = 16000
STEP_S = 0.08
CHUNKS_MS = list(range(0, 961, 80))
ONE_SEGMENT = EndpointRule(trailing_silence_ms=None)
PHRASES = ("operator", "think engine", "onword", "wildfire", "voyager")
Clip = tuple[dict, np.ndarray]


@pytest.fixture(scope="module")
def voice() -> Recognizer:
    return Recognizer()


@cache
def clips(folder: Path, limit: int) -> list[Clip]:
    """Utterances with words, evenly spread over the manifest, and their samples."""
    lines = (folder / "test.jsonl").read_text(encoding="utf-8").splitlines()
    entries = [json.loads(line) for line in lines]
    worded = [entry for entry in entries if entry["text"]]
    chosen = worded[:: max(1, len(worded) // limit)]
    return [(entry, read_audio(folder / entry["audio_filepath"], RATE_HZ)) for entry in chosen]


def heard(voice: Recognizer, samples: np.ndarray, chunk_ms: int, mode: str | None = None) -> list:
    stream = voice.stream(StreamOptions(chunk_ms, mode, ONE_SEGMENT))
    events = finals(stream.accept(samples.astype(np.float32)) + stream.finish())
    return [word for event in events for word in event.words]


def text_of(words: list[Word]) -> str:
    return " ".join(word.text for word in words)


def first_of_phrase(entry: dict, words: list[Word]) -> Word | None:
    """The first word of the utterance's key phrase where it is heard once."""
    phrase = next(p for p in PHRASES if p in entry["text"]).split()
    texts = [word.text for word in words]
    places = [i for i in range(len(texts)) if texts[i : i + len(phrase)] == phrase]
    return words[places[0]] if len(places) == 1 else None


def phrases(speech: Path) -> list[Clip]:
    return [
        clip
        for clip in clips(speech / "wuw2", 220)
        if clip[0].get("keyword_start") and any(p in clip[0]["text"] for p in PHRASES)
    ]


@pytest.mark.parametrize("chunk_ms", CHUNKS_MS)
def test_key_phrases_start_where_they_are_said(voice, speech, chunk_ms):
    """Against times set by hand; alone, and inside spontaneous sentences."""
    errors: dict[bool, list[float]] = {True: [], False: []}
    for entry, samples in phrases(speech):
        word = first_of_phrase(entry, heard(voice, samples, chunk_ms))
        if word:
            is_alone = entry["text"] in PHRASES
            errors[is_alone].append(abs(word.start_s - entry["keyword_start"]))
    assert min(map(len, errors.values())) > 40
    assert max(np.median(some) for some in errors.values()) <= 0.15


@pytest.mark.parametrize("chunk_ms", CHUNKS_MS)
def test_key_phrases_move_with_the_noise_before_them(voice, speech, chunk_ms):
    noise = 1e-3 * np.random.default_rng(0).standard_normal(RATE_HZ)
    moved_s = []
    for entry, samples in phrases(speech):
        if entry["text"] in PHRASES:
            early = first_of_phrase(entry, heard(voice, samples, chunk_ms))
            late = first_of_phrase(entry, heard(voice, np.concatenate([noise, samples]), chunk_ms))
            moved_s += [late.start_s - early.start_s] if early and late else []
    off_s = np.abs(np.array(moved_s) - 1.0)
    assert len(moved_s) > 80
    assert np.median(off_s) <= STEP_S / 2
    assert np.mean(off_s <= STEP_S + 1e-6) >= 0.95


@pytest.mark.parametrize("mode", ["rescoring", "greedy"])
@pytest.mark.parametrize("chunk_ms", [0, 320, 640])
def test_zeros_before_commands_cost_nothing(voice, speech, chunk_ms, mode):
    commands = clips(speech / "speech_commands", 250)
    right = []
    for zeros_s in (0, 0.3, 1.0):
        zeros = np.zeros(round(zeros_s * RATE_HZ), np.float32)
        texts = [
            text_of(heard(voice, np.concatenate([zeros, x]), chunk_ms, mode)) for _, x in commands
        ]
        right.append(np.mean([t == e["text"] for t, (e, _) in zip(texts, commands, strict=True)]))
    assert min(right[1:]) >= right[0] - 0.02


@pytest.mark.parametrize("chunk_ms", CHUNKS_MS)
@pytest.mark.parametrize("corpus", ["speech_commands", "wuw2", "speechocean762", "an4"])
def test_rescoring_is_no_worse_than_greedy_search(voice, speech, corpus, chunk_ms):
    errors = {"rescoring": Errors(), "greedy": Errors()}
    for entry, samples in clips(speech / corpus, 200):
        for mode in errors:
            said = text_of(heard(voice, samples, chunk_ms, mode))
            errors[mode] += count_errors(entry["text"], said)
    assert errors["rescoring"].wer <= errors["greedy"].wer
