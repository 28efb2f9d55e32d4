"""The native protocol: what comes over it is what a stream on this machine gives."""

import array
import asyncio
from itertools import pairwise

import pytest
from serve.clients import SPEECH, Client, finals, pieces, running, s16, stream_finals

from halfbyte.serve.app_keys import SERVER


@pytest.mark.parametrize("path", SPEECH, ids=lambda path: path.stem)
@pytest.mark.parametrize("piece_bytes", [642, 3200, 200_000])
def test_finals_equal_those_of_a_stream_on_this_machine(recognizer, path, piece_bytes):
    audio, rate_hz = s16(path)

    async def talk():
        async with running(recognizer) as bench, bench.client() as client:
            ready = await client.start(sample_rate_hz=rate_hz)
            assert ready["type"] == "ready"
            return await client.play(audio, piece_bytes), client.socket.close_code

    events, close_code = asyncio.run(talk())
    assert finals(events) == stream_finals(recognizer, path)
    assert close_code == 1000


def test_floats_chunk_and_mode_are_negotiated(recognizer):
    path = SPEECH[0]
    audio, rate_hz = s16(path)
    floats = array.array("f", (x / 32768 for x in array.array("h", audio))).tobytes()

    async def talk():
        async with running(recognizer) as bench, bench.client() as client:
            ready = await client.start(
                sample_rate_hz=rate_hz, encoding="f32le", chunk_ms=320, mode="greedy"
            )
            assert (ready["chunk_ms"], ready["mode"]) == (320, "greedy")
            return await client.play(floats)

    assert finals(asyncio.run(talk())) == stream_finals(
        recognizer, path, chunk_ms=320, mode="greedy"
    )


def test_streams_at_once_do_not_disturb_each_other(recognizer):
    async def one(bench, path):
        audio, rate_hz = s16(path)
        async with bench.client() as client:
            await client.start(sample_rate_hz=rate_hz)
            return await client.play(audio)

    async def talk():
        async with running(recognizer, num_threads=2) as bench:
            return await asyncio.gather(*[one(bench, path) for path in SPEECH * 4])

    for path, events in zip(SPEECH * 4, asyncio.run(talk()), strict=True):
        assert finals(events) == stream_finals(recognizer, path)


def test_each_final_follows_its_endpoint_and_partials_come_first(recognizer):
    kinds = [event["type"] for event in asyncio.run(_play(recognizer, _longest()))]
    assert kinds[0] == "partial"
    for before, kind in pairwise(["", *kinds]):
        assert (before == "endpoint") == (kind == "final")


def _longest():
    return max(SPEECH, key=lambda path: path.stat().st_size)


async def _play(recognizer, path):
    audio, rate_hz = s16(path)
    async with running(recognizer) as bench, bench.client() as client:
        await client.start(sample_rate_hz=rate_hz)
        return await client.play(audio)


def test_a_chunk_is_recognised_as_soon_as_its_last_sample_is_there(recognizer):
    """At any rate, without the samples of the next chunk: nothing waits for another message."""
    settings = recognizer.model.settings
    frames = settings.subsampling * settings.chunk_steps + settings.overlap_frames
    samples = (frames - 1) * 160 + 400

    async def talk(rate_hz):
        async with running(recognizer) as bench, bench.client() as client:
            await client.start(sample_rate_hz=rate_hz)
            (session,) = bench.server.app[SERVER].scheduler.sessions
            first_due_bytes = session._told_due_bytes
            for piece in pieces(bytes(2 * (samples * rate_hz // 16000 + rate_hz // 80)), 1600):
                await client.socket.send_bytes(piece)
            async with asyncio.timeout(5):
                while session._told_due_bytes == first_due_bytes:
                    await asyncio.sleep(0.01)

    for rate_hz in (8000, 16000, 44100, 48000):
        asyncio.run(talk(rate_hz))


@pytest.mark.parametrize(
    ("message", "code"),
    [
        ("nonsense", 1007),
        ("{}", 1007),
        ('{"type": "finish"}', 1007),
        ('{"type": "start", "sample_rate_hz": 7999}', 1007),
        ('{"type": "start", "sample_rate_hz": 16000.5}', 1007),
        ('{"type": "start", "encoding": "mp3"}', 1007),
        ('{"type": "start", "chunk_ms": 333}', 1007),
        ('{"type": "start", "mode": "best"}', 1007),
        ('{"type": "start", "mode": 3}', 1007),
        ('{"type": "start", "trailing_silence_ms": -1}', 1007),
        ('{"type": "start", "version": 2}', 1007),
        ('{"type": "start", "colour": "red"}', 1007),
        (b"\0\0", 1007),
    ],
    ids=str,
)
def test_a_bad_first_message_gets_one_error_and_a_close_code(recognizer, message, code):
    async def talk():
        async with running(recognizer) as bench, bench.client() as client:
            await _send(client, message)
            return await client.rest(), client.socket.close_code

    events, close_code = asyncio.run(talk())
    assert [event["type"] for event in events] == ["error"]
    assert close_code == code


async def _send(client: Client, message: str | bytes) -> None:
    if isinstance(message, bytes):
        await client.socket.send_bytes(message)
    else:
        await client.socket.send_str(message)


def test_a_grammar_gives_slots(recognizer):
    audio, rate_hz = s16(SPEECH[0])
    grammar = "#JSGF V1.0;\npublic <said> = <number>+;\n<number> = one | two | seven;\n"

    async def talk(grammar):
        async with running(recognizer) as bench, bench.client() as client:
            await client.start(sample_rate_hz=rate_hz, grammar=grammar)
            return await client.play(audio)

    (final,) = finals(asyncio.run(talk(grammar)))
    assert set(final["text"].split()) <= {"one", "two", "seven"}
    if final["text"]:
        assert final["slots"][0] == {"name": "said", "text": final["text"]}


def test_alternatives_come_with_a_final_if_asked_for(recognizer):
    audio, rate_hz = s16(SPEECH[0])

    async def talk():
        async with running(recognizer) as bench, bench.client() as client:
            ready = await client.start(sample_rate_hz=rate_hz, num_best=3)
            assert ready["num_best"] == 3
            return await client.play(audio)

    (final,) = finals(asyncio.run(talk()))
    alternatives, hypotheses = final.pop("alternatives"), final.pop("hypotheses")
    assert [one["text"] for one in hypotheses] == [final["text"], *alternatives]
    scores = [one["score"] for one in hypotheses]
    assert scores == sorted(scores, reverse=True)
    assert [final] == stream_finals(recognizer, SPEECH[0])
    assert len(alternatives) == 2
    assert len({final["text"], *alternatives}) == 3


def test_nothing_is_clipped_when_audio_comes_before_the_server_is_ready(recognizer):
    audio, rate_hz = s16(SPEECH[0])

    async def talk():
        async with running(recognizer) as bench, bench.client() as client:
            await client.send(type="start", sample_rate_hz=rate_hz)
            for piece in pieces(audio, 3200):
                await client.socket.send_bytes(piece)
            await client.send(type="finish")
            return await client.rest()

    assert finals(asyncio.run(talk())) == stream_finals(recognizer, SPEECH[0])


def test_the_longest_segment_is_the_streams_own(recognizer):
    audio, rate_hz = s16(SPEECH[0])

    async def talk():
        async with running(recognizer) as bench, bench.client() as client:
            ready = await client.start(sample_rate_hz=rate_hz, max_segment_ms=700)
            assert ready["max_segment_ms"] == 700
            return await client.play(audio)

    events = asyncio.run(talk())
    reasons = [event["reason"] for event in events if event["type"] == "endpoint"]
    assert "length" in reasons
    assert all(final["end_s"] - final["start_s"] <= 1.28 for final in finals(events))
