"""A stream saved in mid-utterance goes on elsewhere as if nothing had happened."""

import dataclasses
import json
import math
import struct
import subprocess
import sys
import zlib
from contextlib import suppress

import numpy as np
import pytest
from hostile.models import SECTIONS, with_sections
from listen.metadata import MODES
from listen.streams import SHORT_PAUSE, feed, noting_stream, pieces
from paths import TONES
from tones import recording

from halfbyte import HalfbyteError, InputError, Recognizer, StreamOptions, UsageError
from halfbyte.engine import ModelFile, State
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


HEAD_BYTES = 12  # of a graph's saved state, before what its checksum covers


def mended(part: bytes) -> bytes:
    """With the checksum of a graph's saved state, so that what lies behind it is reached."""
    if not part.startswith(b"HBSTATE1"):
        return part
    checksum = zlib.crc32(part[HEAD_BYTES:]).to_bytes(4, "little")
    return part[: HEAD_BYTES - 4] + checksum + part[HEAD_BYTES:]


SPECIALS = [
    *(struct.pack("<d", x) for x in (math.nan, math.inf, -math.inf, 1e308)),
    *(struct.pack("<f", x) for x in (math.nan, math.inf, -math.inf, 3e38)),
    *(struct.pack("<i", x) for x in (-1, 0, 1, 7, 10_000, 2**31 - 1, -(2**31))),
    *(struct.pack("<q", x) for x in (-1, 0, 1, 2**40, 2**62, 2**63 - 1, -(2**63))),
]


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("chunk_ms", [0, 120])
def test_states_with_right_checksums_and_wrong_contents(recognizer, mode, chunk_ms):
    """Each is refused, or the stream goes on and ends: nothing else."""
    random = np.random.default_rng([chunk_ms, *mode.encode()])
    options = StreamOptions(chunk_ms, mode, SHORT_PAUSE, num_best=3)
    stream = recognizer.stream(options)
    stream.accept(SENTENCE[:14000])
    whole_numbers, parts = unpack_snapshot(stream.save())
    num_refused = 0
    for _ in range(300):
        index = random.integers(len(parts))
        part, numbers = bytearray(parts[index]), dict(whole_numbers)
        for _ in range(random.integers(1, 4)):
            special = SPECIALS[random.integers(len(SPECIALS))]
            limit = len(part) if random.random() < 0.5 else min(len(part), 200)
            place = random.integers(limit + 1) // 4 * 4
            part[place : place + len(special)] = special[: len(part) - place]
        if random.random() < 0.2:
            name = ("frames_done", "num_kept_frames")[random.integers(2)]
            numbers[name] = int(random.choice([-1, 1, 4, 2**40, 2**62]))
        changed = [*parts[:index], mended(bytes(part)), *parts[index + 1 :]]
        stream = recognizer.stream(options)
        num_refused += 1
        with suppress(HalfbyteError):
            stream.restore(pack_snapshot(numbers, changed))
            stream.accept(SENTENCE[14000:16000])
            events = stream.finish()
            json.dumps([dataclasses.asdict(event) for event in events], allow_nan=False)
            num_refused -= 1
    assert num_refused > 50


@pytest.mark.parametrize("mode", ["greedy", "prefix_beam"])
def test_each_number_of_a_search_in_turn_is_wrong(recognizer, mode):
    """Tokens, frames and scores that are none: refused, or the stream goes on."""
    stream = recognizer.stream(StreamOptions(120, mode))
    stream.accept(SENTENCE[:14000])
    numbers, parts = unpack_snapshot(stream.save())
    tag = {"greedy": b"HBG1", "prefix_beam": b"HBP1"}[mode]
    (index,) = (i for i, part in enumerate(parts) if part.startswith(tag))
    wrong = []
    for place in range(4, len(parts[index]) - 8, 4):
        for special in (struct.pack("<d", math.nan), struct.pack("<i", 2**31 - 1)):
            part = bytearray(parts[index])
            part[place : place + len(special)] = special
            wrong.append(bytes(part))
    for part in wrong:
        changed = [*parts[:index], part, *parts[index + 1 :]]
        other = recognizer.stream(StreamOptions(120, mode))
        with suppress(HalfbyteError):
            other.restore(pack_snapshot(numbers, changed))
            other.accept(SENTENCE[14000:])
            other.finish()


def test_a_state_of_another_model_of_equal_shapes_is_refused(recognizer, tmp_path):
    """The file's bytes but one weight: other words, the same shapes."""
    path = tmp_path / "other.hb"
    path.write_bytes(with_sections(weights=flipped(SECTIONS["weights"])))
    stream = recognizer.stream(StreamOptions(120, "greedy"))
    stream.accept(SENTENCE[:20000])
    other = Recognizer(path).stream(StreamOptions(120, "greedy"))
    with pytest.raises(HalfbyteError, match="model"):
        other.restore(stream.save())
    state = State(recognizer.model.file, "encoder")
    with pytest.raises(InputError, match="another model"):
        State(ModelFile(path), "encoder").restore(state.save())


def flipped(weights: bytes) -> bytes:
    return bytes([weights[0] ^ 1]) + weights[1:]


@pytest.mark.parametrize(
    "head", [[], [[], []], [{}, [-1, 1]], [{}, [0.0]], [{}, 3], [{}, None], "x", {}], ids=str
)
def test_a_head_that_is_none_is_refused(recognizer, head):
    content = json.dumps(head).encode()
    saved = struct.pack("<8sII", b"HBST0005", zlib.crc32(content), len(content)) + content
    assert_refused(recognizer.stream(), saved)


def test_a_head_of_brackets_is_refused(recognizer):
    content = b"[" * 100_000
    saved = struct.pack("<8sII", b"HBST0005", zlib.crc32(content), len(content)) + content
    assert_refused(recognizer.stream(), saved)
