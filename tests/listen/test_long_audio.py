"""Hours of audio: constant memory, right times; many streams at once: as each alone."""

import gc
import json
import re
import struct
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from listen.streams import feed, finals
from paths import TONES
from tones import recording
from verbs import start

from halfbyte import Event, Recognizer, StreamOptions

RATE_HZ = 16000
NUM_STREAMS = 64
HALF_AN_HOUR_S = 1800
EARLY_S = 1
LATE_S = 3 * 3600 + 59 * 60
LARGEST_GROWTH_BYTES = 20_000


def test_memory_of_the_python_layer_does_not_grow(recognizer: Recognizer):
    stream = recognizer.stream(StreamOptions(320))
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
    alone = [
        w
        for e in finals(feed(recognizer.stream(StreamOptions(chunk_ms)), spoken, 1000))
        for w in e.words
    ]
    stream = recognizer.stream(StreamOptions(chunk_ms))
    silence = np.zeros(60 * RATE_HZ, np.float32)
    for _ in range(HALF_AN_HOUR_S // 60):
        assert stream.accept(silence) == []
    late = [word for event in finals(feed(stream, spoken, 1000)) for word in event.words]
    assert [word.text for word in late] == [word.text for word in alone]
    for word, other in zip(late, alone, strict=True):  # chunks lie differently on the words
        assert word.start_s - HALF_AN_HOUR_S == pytest.approx(other.start_s, abs=0.2)


def write_late(path: Path, late_s: int) -> None:
    """A WAV file of digital silence and, after it, words. Silence takes no room on the disk."""
    spoken = (recording("low high mid", pause_s=0.2) * 32767).astype("<i2").tobytes()
    num_bytes = 2 * late_s * RATE_HZ + len(spoken)
    form = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, 1, RATE_HZ, 2 * RATE_HZ, 2, 16)
    with path.open("wb") as file:
        file.write(struct.pack("<4sI4s", b"RIFF", 36 + num_bytes, b"WAVE") + form)
        file.write(struct.pack("<4sI", b"data", num_bytes))
        file.seek(2 * late_s * RATE_HZ, 1)
        file.write(spoken)


def heard(path: Path, late_s: int) -> tuple[list[dict], float]:
    """Words that the verb hears in such a file, and the most memory that it took, in MB."""
    write_late(path, late_s)
    with start("transcribe", path, "--model", TONES, "--json", "--stats") as process:
        out, err = process.communicate()
    assert process.returncode == 0, err
    words = [word for segment in json.loads(out)["segments"] for word in segment["words"]]
    return words, float(re.search(r"peak memory ([\d.]+) MB", err)[1])


def test_a_4_hour_file_has_right_times_at_its_end_and_takes_no_more_memory(tmp_path):
    early, early_mb = heard(tmp_path / "early.wav", EARLY_S)
    late, late_mb = heard(tmp_path / "late.wav", LATE_S)
    assert [word["text"] for word in late] == ["low", "high", "mid"]
    for word, alone in zip(late, early, strict=True):
        assert word["text"] == alone["text"]
        assert word["start_s"] - LATE_S == pytest.approx(alone["start_s"] - EARLY_S, abs=0.001)
        assert word["end_s"] - LATE_S == pytest.approx(alone["end_s"] - EARLY_S, abs=0.001)
    assert late_mb < early_mb + 2


def test_many_streams_in_threads_hear_what_each_hears_alone(recognizer: Recognizer):
    words = np.random.default_rng(4).choice(["low", "mid", "high"], (NUM_STREAMS, 2))

    def hear(number: int) -> list[Event]:
        samples = recording(" ".join(words[number]), 0.2, seed=number)
        return feed(
            recognizer.stream(StreamOptions(320 if number % 2 else 0)), samples, 700 + number
        )

    alone = [hear(number) for number in range(NUM_STREAMS)]
    with ThreadPoolExecutor(NUM_STREAMS) as pool:
        assert list(pool.map(hear, range(NUM_STREAMS))) == alone
