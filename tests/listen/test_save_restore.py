"""A stream saved in mid-utterance goes on elsewhere as if nothing had happened."""

import dataclasses
import json
import subprocess
import sys

import numpy as np
import pytest
from listen.metadata import MODES
from listen.streams import SHORT_PAUSE, feed, noting_stream, pieces
from paths import TONES
from tones import recording

from halfbyte import HalfbyteError, InputError, StreamOptions, UsageError
from halfbyte.engine import State
from halfbyte.listen.snapshot import pack_snapshot, unpack_snapshot

SENTENCE = recording("low high mid", pause_s=0.9)
WHOLE = 1 << 30


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("chunk_ms", [0, 120, 320])
@pytest.mark.parametrize("rate_hz", [16000, 44100])
def test_handed_on_after_every_piece(recognizer, rate_hz, chunk_ms, mode):
    """Each piece goes to a new stream that knows the last one's bytes only."""
    options = StreamOptions(chunk_ms, mode, SHORT_PAUSE, rate_hz)
    stream, noted = noting_stream(recognizer, options)
    expected = feed(stream, SENTENCE, WHOLE)
    stream, model = noting_stream(recognizer, options)
    events = []
    for piece in pieces(SENTENCE, 4999):
        events += stream.accept(piece)
        saved = stream.save()
        stream, next_model = noting_stream(recognizer, options)
        next_model.outputs = model.outputs
        stream.restore(saved)
        assert stream.save() == saved
        model = next_model
    assert events + stream.finish() == expected
    assert model.outputs == noted.outputs


@pytest.mark.parametrize("mode", MODES)
def test_a_used_stream_takes_up_another(recognizer, mode):
    saved_from, used = (
        recognizer.stream(StreamOptions(120, mode)),
        recognizer.stream(StreamOptions(120, mode)),
    )
    saved_from.accept(SENTENCE[:30000])
    used.accept(recording("mid mid", seed=7))
    used.restore(saved_from.save())
    rest = SENTENCE[30000:]
    assert feed(used, rest, WHOLE) == feed(saved_from, rest, WHOLE)


def test_a_finished_stream_stays_finished(recognizer):
    stream = recognizer.stream(StreamOptions(120))
    feed(stream, SENTENCE, WHOLE)
    other = recognizer.stream(StreamOptions(120))
    other.restore(stream.save())
    assert other.finish() == []
    with pytest.raises(UsageError, match="finished"):
        other.accept(SENTENCE)


CONTINUE = """
import dataclasses, json, sys
from array import array
from halfbyte import EndpointRule, Recognizer, StreamOptions
model, mode, saved, rest = sys.argv[1:]
stream = Recognizer(model).stream(StreamOptions(0, mode, EndpointRule(300)))
stream.restore(open(saved, "rb").read())
samples = array("f", open(rest, "rb").read())
print(json.dumps([dataclasses.asdict(e) for e in stream.accept(samples) + stream.finish()]))
"""


@pytest.mark.parametrize("mode", MODES)
def test_another_process_goes_on(recognizer, tmp_path, mode):
    stream = recognizer.stream(StreamOptions(0, mode, SHORT_PAUSE))
    stream.accept(SENTENCE[:25000])
    saved, rest = tmp_path / "saved", tmp_path / "rest"
    saved.write_bytes(stream.save())
    rest.write_bytes(SENTENCE[25000:].tobytes())
    done = subprocess.run(
        [sys.executable, "-c", CONTINUE, str(TONES), mode, str(saved), str(rest)],
        capture_output=True,
        text=True,
        check=True,
    )
    expected = feed(stream, SENTENCE[25000:], WHOLE)
    assert json.loads(done.stdout) == [dataclasses.asdict(event) for event in expected]


@pytest.fixture
def saved(recognizer) -> bytes:
    stream = recognizer.stream(StreamOptions(120, "greedy"))
    stream.accept(SENTENCE[:20000])
    return stream.save()


def assert_refused(stream, damaged: bytes, kinds=(UsageError, InputError)) -> None:
    before = stream.save()
    with pytest.raises(kinds) as caught:
        stream.restore(damaged)
    assert "\n" not in str(caught.value)
    assert stream.save() == before


def test_bytes_cut_short_are_refused(recognizer, saved):
    stream = recognizer.stream(StreamOptions(120, "greedy"))
    for num_bytes in [*range(0, 64), *range(64, len(saved), 499), len(saved) - 1]:
        assert_refused(stream, saved[:num_bytes])
    assert_refused(stream, saved + b"\0")


def test_every_flipped_bit_is_refused(recognizer, saved):
    stream = recognizer.stream(StreamOptions(120, "greedy"))
    for place in [*range(0, 400), *range(400, len(saved), 101)]:
        flipped = bytes([saved[place] ^ (1 << place % 8)])
        assert_refused(stream, saved[:place] + flipped + saved[place + 1 :])


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({"mode": "rescoring"}, "mode"),
        ({"chunk_ms": 0}, "full_context"),
        ({"chunk_ms": 160}, "chunk_steps"),
        ({"sample_rate_hz": 8000}, "sample_rate_hz"),
    ],
    ids=str,
)
def test_a_stream_of_other_settings_refuses(recognizer, saved, arguments, named):
    settings = {"chunk_ms": 120, "mode": "greedy"} | arguments
    stream = recognizer.stream(StreamOptions(**settings))
    with pytest.raises(UsageError, match=named):
        stream.restore(saved)
    assert feed(stream, SENTENCE, WHOLE) == feed(
        recognizer.stream(StreamOptions(**settings)), SENTENCE, WHOLE
    )


def test_parts_of_other_things_are_refused(recognizer, saved):
    """Checksums right, contents wrong: each part in turn is empty, garbage, or another's."""
    numbers, parts = unpack_snapshot(saved)
    other_model = State(recognizer.model.file, "encoder", 3).save()
    stream = recognizer.stream(StreamOptions(120, "greedy"))
    for index in range(len(parts)):
        for wrong in (b"garbage", other_model):
            if wrong != parts[index]:
                changed = [*parts[:index], wrong, *parts[index + 1 :]]
                assert_refused(stream, pack_snapshot(numbers, changed), HalfbyteError)
    for changed in ([], parts[:-1], [*parts, b""]):
        assert_refused(stream, pack_snapshot(numbers, changed))
    for name in numbers:
        fewer = {key: value for key, value in numbers.items() if key != name}
        assert_refused(stream, pack_snapshot(fewer, parts))
        assert_refused(stream, pack_snapshot(numbers | {name: "x"}, parts))


@pytest.mark.parametrize("wrong", [None, "text", 7, np.zeros(9)], ids=str)
def test_what_is_no_bytes(recognizer, wrong):
    with pytest.raises(UsageError, match="saved state"):
        recognizer.stream().restore(wrong)
