"""Words lie where they are said, at every chunk size and at full context."""

import wave
from pathlib import Path

import numpy as np
import pytest
from listen.scripted import GO, TOKENS, ScriptedModel, samples_of
from listen.streams import feed, finals, words
from paths import ROOT

from halfbyte import EndpointRule, Recognizer, Stream, StreamOptions, Text

RATE_HZ = 16000
STEP_S = 0.08
CHUNKS_MS = list(range(0, 961, 80))
ONE_SEGMENT = EndpointRule(trailing_silence_ms=None)
OPERATOR_S = (0.572, 1.164)  # by hand


def wav(path: Path) -> np.ndarray:
    with wave.open(str(path)) as file:
        codes = np.frombuffer(file.readframes(file.getnframes()), "<i2")
    return (codes / 32768).astype(np.float32)


OPERATOR = wav(ROOT / "tests" / "data" / "wuw2_WUWII00000_001.wav")
DEMO = wav(ROOT / "src" / "halfbyte" / "assets" / "demo.wav")  # never trained on
CLIPS = {"operator": OPERATOR, "think engine": DEMO}


@pytest.fixture(scope="module")
def voice() -> Recognizer:
    return Recognizer()


def heard(voice: Recognizer, samples: np.ndarray, chunk_ms: int, mode: str = "rescoring") -> Text:
    (final,) = finals(feed(voice.stream(StreamOptions(chunk_ms, mode, ONE_SEGMENT)), samples, 4000))
    return final


def noise(seconds: float) -> np.ndarray:
    samples = 1e-3 * np.random.default_rng(0).standard_normal(round(seconds * RATE_HZ))
    return samples.astype(np.float32)


def zeros(seconds: float) -> np.ndarray:
    return np.zeros(round(seconds * RATE_HZ), np.float32)


@pytest.mark.parametrize("chunk_ms", CHUNKS_MS)
def test_the_recording_of_the_package_is_right(voice, chunk_ms):
    assert heard(voice, DEMO, chunk_ms).text == "think engine"


@pytest.mark.parametrize("chunk_ms", CHUNKS_MS)
@pytest.mark.parametrize("before_s", [0.0, 0.1, 0.3, 0.6, 1.0, 3.0])
def test_a_word_starts_where_it_is_said(voice, chunk_ms, before_s):
    (word,) = heard(voice, np.concatenate([noise(before_s), OPERATOR]), chunk_ms).words
    start_s, end_s = (before_s + time_s for time_s in OPERATOR_S)
    assert abs(word.start_s - start_s) <= 0.15
    assert word.end_s <= end_s


@pytest.mark.parametrize("chunk_ms", CHUNKS_MS)
@pytest.mark.parametrize(
    ("text", "before"),
    [("operator", noise(1.0)), *((text, zeros(s)) for text in CLIPS for s in (0.3, 1.0, 1.003))],
    ids=lambda value: value if isinstance(value, str) else len(value),
)
def test_a_word_moves_with_what_stands_before_it(voice, chunk_ms, text, before):
    alone = heard(voice, CLIPS[text], chunk_ms)
    later = heard(voice, np.concatenate([before, CLIPS[text]]), chunk_ms)
    assert later.text == text
    moved_s = later.words[0].start_s - alone.words[0].start_s
    assert moved_s == pytest.approx(len(before) / RATE_HZ, abs=STEP_S + 1e-6)


@pytest.mark.parametrize("mode", ["rescoring", "greedy"])
@pytest.mark.parametrize("chunk_ms", [0, 80, 320, 960])
@pytest.mark.parametrize("before_s", [0.01, 0.3, 1.0, 20.0])
def test_zeros_before_a_word_cost_nothing(voice, chunk_ms, mode, before_s):
    final = heard(voice, np.concatenate([zeros(before_s), OPERATOR]), chunk_ms, mode)
    assert final.text == "operator"
    assert final.words[0].start_s - before_s == pytest.approx(OPERATOR_S[0], abs=0.15)


@pytest.mark.parametrize("chunk_ms", [0, 320, 640])
def test_a_word_cut_tight_is_heard(voice, chunk_ms):
    """With nothing before and after it; its times are within the recording."""
    tight = OPERATOR[round(OPERATOR_S[0] * RATE_HZ) : round(OPERATOR_S[1] * RATE_HZ)]
    final = heard(voice, tight, chunk_ms)
    assert final.text == "operator"
    (word,) = final.words
    assert 0 <= word.start_s < word.end_s <= final.end_s <= len(tight) / RATE_HZ


@pytest.mark.parametrize("chunk_ms", [0, 960])
def test_splitting_and_saving_change_nothing_in_the_first_chunk(voice, chunk_ms):
    samples = np.concatenate([zeros(0.2), OPERATOR, zeros(1.5), DEMO])
    options = StreamOptions(chunk_ms)
    whole = feed(voice.stream(options), samples, len(samples))
    assert words(whole).startswith("operator")
    assert words(whole).endswith("think engine")
    assert feed(voice.stream(options), samples, 977) == whole
    for at in (1, 2000, 5000, 12000, 40000, 60000):
        stream, other = voice.stream(options), voice.stream(options)
        events = stream.accept(samples[:at])
        other.restore(stream.save())
        assert events + other.accept(samples[at:]) + other.finish() == whole


def test_words_that_were_heard_do_not_vanish():
    """The decoder would rather have none of them."""
    script = [0, 0, 0, GO, 0, 0, 0]
    model = ScriptedModel(script, attention=())
    encode = model.encode

    def encode_without_boundary(features):
        memory, log_probs = encode(features)
        log_probs[..., TOKENS.index("<sos/eos>")] = -100
        return memory, log_probs

    model.encode = encode_without_boundary
    stream = Stream(model, StreamOptions(40, "rescoring"))
    events = stream.accept(samples_of(len(script))) + stream.finish()
    assert [event.text for event in events if isinstance(event, Text)] == ["go", "go"]
