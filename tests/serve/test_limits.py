"""Limits: who goes beyond gets one error event and a close code, and the server goes on."""

import array
import asyncio

import pytest
from serve.clients import SPEECH, finals, running, s16, step, stream_finals

from halfbyte.serve.app_keys import SERVER
from halfbyte.serve.scheduler import Scheduler
from halfbyte.serve.settings import Limits, StreamSettings


def error_of(recognizer, limits, misbehave):
    """The one error event and the close code of a client that has started."""

    async def talk():
        async with running(recognizer, limits=limits) as bench, bench.client() as client:
            await client.start()
            await misbehave(client)
            events = await client.rest()
            return [e["code"] for e in events if e["type"] == "error"], client.socket.close_code

    return asyncio.run(talk())


@pytest.mark.parametrize(
    ("limits", "message", "expected"),
    [
        (Limits(max_message_bytes=1000), bytes(1002), (["message_too_large"], 1009)),
        (Limits(max_stream_s=0.5), bytes(32000), (["stream_too_long"], 1008)),
        (Limits(idle_s=0.1), None, (["idle"], 1008)),
        (Limits(), bytes(3), (["bad_audio"], 1007)),
        (Limits(), '{"type": "start"}', (["bad_message"], 1007)),
        (Limits(), "[" * 100_000, (["bad_message"], 1007)),
    ],
    ids=lambda value: str(value)[:30],
)
def test_one_error_event_and_a_close_code(recognizer, limits, message, expected):
    async def misbehave(client):
        if isinstance(message, bytes):
            await client.socket.send_bytes(message)
        elif message is not None:
            await client.socket.send_str(message)

    assert error_of(recognizer, limits, misbehave) == expected


def test_a_message_far_too_large_is_cut_off_with_a_close_code(recognizer):
    async def misbehave(client):
        await client.socket.send_bytes(bytes(10_000))

    assert error_of(recognizer, Limits(max_message_bytes=1000), misbehave) == ([], 1009)


def test_nan_is_refused(recognizer):
    async def talk():
        async with running(recognizer) as bench, bench.client() as client:
            await client.start(encoding="f32le")
            await client.socket.send_bytes(array.array("f", [float("nan")] * 16000).tobytes())
            events = await client.rest()
            return events[-1]["code"], client.socket.close_code

    assert asyncio.run(talk()) == ("bad_audio", 1007)


@pytest.mark.parametrize("limits", [Limits(max_streams=1), Limits(max_streams_per_client=1)])
def test_a_stream_too_many_is_refused_and_the_first_goes_on(recognizer, limits):
    audio, rate_hz = s16(SPEECH[0])

    async def talk():
        async with running(recognizer, limits=limits) as bench, bench.client() as first:
            await first.start(sample_rate_hz=rate_hz)
            async with bench.client() as second:
                refused = await second.start()
                await second.rest()
                assert (refused["code"], second.socket.close_code) == ("too_many_streams", 1013)
            events = await first.play(audio)
            async with bench.client() as third:
                assert (await third.start())["type"] == "ready"
            return events

    assert finals(asyncio.run(talk())) == stream_finals(recognizer, SPEECH[0])


def test_audio_that_comes_too_fast_waits_in_the_socket(recognizer):
    """`feed` returns only when little enough is queued."""

    async def talk():
        scheduler = Scheduler(recognizer, Limits(max_queued_s=2.0), num_threads=0)
        session = scheduler.open(StreamSettings())
        await session.feed(bytes(2 * 16000 * 2))
        waiting = asyncio.ensure_future(session.feed(bytes(3200)))
        await asyncio.sleep(0.05)
        assert not waiting.done()
        session.deliver(step(session))
        await asyncio.wait_for(waiting, 1)
        session.close()

    asyncio.run(talk())


def test_a_client_that_does_not_read_is_told_that_it_is_too_slow(recognizer):
    async def talk():
        scheduler = Scheduler(recognizer, Limits(max_unsent_events=0), num_threads=0)
        audio, rate_hz = s16(SPEECH[0])
        session = scheduler.open(StreamSettings(sample_rate_hz=rate_hz))
        await session.feed(audio)
        session.finish()
        session.deliver(step(session))
        with pytest.raises(Exception, match="reads events too slowly"):
            [event async for event in session.events()]

    asyncio.run(talk())


def test_nothing_of_a_stream_stays_when_its_client_is_gone(recognizer):
    audio, rate_hz = s16(SPEECH[0])

    async def talk():
        async with running(recognizer) as bench:
            for _ in range(5):
                async with bench.client() as client:
                    await client.start(sample_rate_hz=rate_hz)
                    await client.socket.send_bytes(audio[: len(audio) // 4 * 2])
            async with asyncio.timeout(5):
                while bench.server.app[SERVER].scheduler.sessions:
                    await asyncio.sleep(0.01)

    asyncio.run(talk())
