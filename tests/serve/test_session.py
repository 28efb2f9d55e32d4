"""Sessions whose engine thread is played by the test: what is found is never lost on its way."""

import asyncio

from serve.clients import SPEECH, s16, step, stream_finals

from halfbyte import finals
from halfbyte.serve.scheduler import Scheduler
from halfbyte.serve.settings import Limits, StreamSettings


def test_the_last_events_come_though_the_engine_is_done_before_they_are_delivered(recognizer):
    audio, rate_hz = s16(SPEECH[0])

    async def talk():
        session = Scheduler(recognizer, Limits(), num_threads=0).open(
            StreamSettings(sample_rate_hz=rate_hz)
        )
        await session.feed(audio[: len(audio) // 4 * 2])
        first = step(session)
        await session.feed(audio[len(audio) // 4 * 2 :])
        session.finish()
        last = step(session)
        session.deliver(first)
        asyncio.get_running_loop().call_later(0.05, session.deliver, last)
        return [event async for event in session.events()]

    events = asyncio.run(talk())
    texts = [final["text"] for final in stream_finals(recognizer, SPEECH[0])]
    assert [event.text for event in finals(events)] == texts


def test_caught_up_means_that_the_events_of_all_audio_are_there(recognizer):
    audio, rate_hz = s16(SPEECH[0])

    async def talk():
        scheduler = Scheduler(recognizer, Limits())
        session = scheduler.open(StreamSettings(sample_rate_hz=rate_hz))
        for start in range(0, len(audio), 6400):
            await session.feed(audio[start : start + 6400])
            await session.caught_up()
            assert not session.is_due()
        session.close()
        await session.caught_up()
        scheduler.stop()

    asyncio.run(talk())
