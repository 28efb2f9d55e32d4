"""No words come out of digital silence, and those around it stay where they are."""

import numpy as np
import pytest
from listen.metadata import MODES
from listen.scripted import UP, ScriptedModel
from listen.streams import feed, finals, words
from tones import recording

from halfbyte import Recognizer, Stream, StreamOptions

RATE_HZ = 16000
CHUNKS_MS = [40, 160, 320, 0]


def dither(num_samples: int) -> np.ndarray:
    """Noise of one 16-bit step, the loudest that dither leaves of silence."""
    return (np.random.default_rng(3).integers(-1, 2, num_samples) / 32768).astype(np.float32)


@pytest.mark.parametrize("silence", [lambda n: np.zeros(n, np.float32), dither], ids=["0", "±1"])
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("chunk_ms", [40, 0])
def test_a_model_that_hears_words_in_silence_is_not_believed(silence, mode, chunk_ms):
    stream = Stream(ScriptedModel([UP] * 1000, attention=(UP, UP)), StreamOptions(chunk_ms, mode))
    assert words(feed(stream, silence(25 * RATE_HZ), RATE_HZ)) == ""


def test_what_is_a_little_louder_is_the_models_to_judge():
    stream = Stream(ScriptedModel([UP] * 1000), StreamOptions(40, "greedy"))
    assert words(feed(stream, dither(RATE_HZ) * 4, RATE_HZ)).startswith("up")


@pytest.mark.parametrize("chunk_ms", CHUNKS_MS)
@pytest.mark.parametrize("silent_s", [0.1, 5, 45])
def test_words_around_silence_keep_their_times(recognizer: Recognizer, chunk_ms, silent_s):
    spoken = recording("low high mid", pause_s=0.2)
    silent = np.zeros(int(silent_s * RATE_HZ), np.float32)
    samples = np.concatenate([silent, spoken, silent])
    heard = [word for event in recognizer_events(recognizer, chunk_ms, samples) for word in event]
    alone = [word for event in recognizer_events(recognizer, chunk_ms, spoken) for word in event]
    assert [word.text for word in heard] == [word.text for word in alone] == ["low", "high", "mid"]
    for word, other in zip(heard, alone, strict=True):
        assert word.start_s - silent_s == pytest.approx(other.start_s, abs=0.2)


def recognizer_events(recognizer: Recognizer, chunk_ms: int, samples: np.ndarray) -> list:
    return [
        e.words for e in finals(feed(recognizer.stream(StreamOptions(chunk_ms)), samples, RATE_HZ))
    ]


@pytest.mark.parametrize("chunk_ms", CHUNKS_MS)
def test_splitting_changes_nothing_in_silence(recognizer: Recognizer, chunk_ms):
    samples = np.concatenate(
        [part for text in ("low", "mid") for part in (np.zeros(41234, np.float32), recording(text))]
    )
    whole = feed(recognizer.stream(StreamOptions(chunk_ms)), samples, len(samples))
    for num_samples in (977, 4001):
        assert feed(recognizer.stream(StreamOptions(chunk_ms)), samples, num_samples) == whole


def test_a_segment_saved_in_silence_goes_on(recognizer: Recognizer):
    samples = np.concatenate([np.zeros(8000, np.float32), recording("low high")])
    for at in (3000, 7000, 9000, 12000):
        stream, other = recognizer.stream(StreamOptions(160)), recognizer.stream(StreamOptions(160))
        stream.accept(samples[:at])
        other.restore(stream.save())
        rest = stream.accept(samples[at:]) + stream.finish()
        assert other.accept(samples[at:]) + other.finish() == rest
