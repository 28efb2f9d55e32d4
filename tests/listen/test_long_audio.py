"""Hours of audio: constant memory, right times; many streams at once: as each alone."""

import gc
import tracemalloc
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from listen.streams import feed, finals
from tones import recording

from halfbyte import Event, Recognizer

RATE_HZ = 16000
NUM_STREAMS = 64
HALF_AN_HOUR_S = 1800
LARGEST_GROWTH_BYTES = 20_000


def test_memory_of_the_python_layer_does_not_grow(recognizer: Recognizer):
    stream = recognizer.stream(320)
    period = np.pad(recording("low mid"), (0, RATE_HZ))
    for _ in range(5):  # plans, buffers, caches
        stream.accept(period)
    tracemalloc.start()
    stream.accept(period)
    gc.collect()
    before, _ = tracemalloc.get_traced_memory()
    for _ in range(40):
        stream.accept(period)
    gc.collect()
    after, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert after - before < LARGEST_GROWTH_BYTES


@pytest.mark.parametrize("chunk_ms", [320, 0])
def test_words_after_half_an_hour_have_the_times_of_words_at_the_start(recognizer, chunk_ms):
    spoken = recording("low high mid", pause_s=0.2)
    alone = [w for e in finals(feed(recognizer.stream(chunk_ms), spoken, 1000)) for w in e.words]
    stream = recognizer.stream(chunk_ms)
    silence = np.zeros(60 * RATE_HZ, np.float32)
    for _ in range(HALF_AN_HOUR_S // 60):
        assert stream.accept(silence) == []
    late = [word for event in finals(feed(stream, spoken, 1000)) for word in event.words]
    assert [word.text for word in late] == [word.text for word in alone]
    for word, other in zip(late, alone, strict=True):  # chunks lie differently on the words
        assert word.start_s - HALF_AN_HOUR_S == pytest.approx(other.start_s, abs=0.2)


def test_many_streams_in_threads_hear_what_each_hears_alone(recognizer: Recognizer):
    words = np.random.default_rng(4).choice(["low", "mid", "high"], (NUM_STREAMS, 2))

    def hear(number: int) -> list[Event]:
        samples = recording(" ".join(words[number]), 0.2, seed=number)
        return feed(recognizer.stream(320 if number % 2 else 0), samples, 700 + number)

    alone = [hear(number) for number in range(NUM_STREAMS)]
    with ThreadPoolExecutor(NUM_STREAMS) as pool:
        assert list(pool.map(hear, range(NUM_STREAMS))) == alone
