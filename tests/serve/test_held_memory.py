"""What a client leaves behind goes at once, without the help of Python's garbage collector.

A stream holds memory of the engine, of which the collector knows nothing: it would let hundreds of
dead streams lie before it looks for them.
"""

import asyncio
import base64
import gc
import weakref

import pytest
from serve.clients import SPEECH, running, s16

from halfbyte.serve.app_keys import SERVER
from halfbyte.serve.settings import Limits

START = {
    "/v1/stream": '{"type": "start"}',
    "/vosk": '{"config": {"sample_rate": 16000}}',
    "/wenet": '{"signal": "start"}',
}
RATE_16K = (
    '{"type": "session.update", "session": '
    '{"audio": {"input": {"format": {"type": "audio/pcm", "rate": 16000}}}}}'
)


async def leaves(socket) -> None:
    await socket.close()


async def sends_no_json(socket) -> None:
    await socket.send_str("{")


async def sends_half_a_sample(socket) -> None:
    await socket.send_bytes(bytes(3201))


async def sends_too_much(socket) -> None:
    await socket.send_bytes(bytes(20001))


async def stalls(socket) -> None:
    pass


@pytest.fixture
def no_collector():
    gc.collect()
    gc.disable()
    yield
    gc.enable()


@pytest.mark.usefixtures("no_collector")
@pytest.mark.parametrize("path", ["/v1/stream", "/vosk", "/wenet", "/v1/realtime"])
@pytest.mark.parametrize(
    "misbehave", [leaves, sends_no_json, sends_half_a_sample, sends_too_much, stalls]
)
def test_no_session_is_left_of_a_client(recognizer, path, misbehave):
    audio = s16(SPEECH[0])[0][:20000]
    limits = Limits(max_message_bytes=20000, idle_s=0.05)
    sessions = []

    async def talk():
        async with running(recognizer, limits=limits) as bench:
            scheduler = bench.server.app[SERVER].scheduler
            open_session = scheduler.open

            def noted(settings):
                session = open_session(settings)
                sessions.append(weakref.ref(session))
                return session

            scheduler.open = noted
            async with bench.http.ws_connect(bench.server.make_url(path)) as socket:
                await begin(socket, path, audio)
                await misbehave(socket)
                while not socket.closed:
                    await socket.receive()
            async with asyncio.timeout(5):
                while scheduler.sessions or any(session() for session in sessions):
                    await asyncio.sleep(0.01)

    asyncio.run(talk())
    assert len(sessions) == 1


async def begin(socket, path: str, audio: bytes) -> None:
    """Audio of half a second, in a stream."""
    if path == "/v1/realtime":
        await socket.send_str(RATE_16K)
        coded = base64.b64encode(audio[:12000]).decode()
        await socket.send_json({"type": "input_audio_buffer.append", "audio": coded})
        await socket.receive()
    else:
        await socket.send_str(START[path])
        await socket.send_bytes(audio)
        await socket.receive()
