"""A server that stops: clients of every protocol hear what was said so far, and why it ends."""

import asyncio
import base64
import json

import pytest
import soundfile
from serve.clients import running, wyoming

from halfbyte.serve.app_keys import SERVER
from halfbyte.serve.wyoming_events import WyomingEvent, pack, read_event

GOING_AWAY = 1001


@pytest.fixture(scope="module")
def audio(talk):
    """The first words of the talk, with no pause after them: as s16le at 16 kHz."""
    return soundfile.read(talk, dtype="int16")[0][: 16000 * 13 // 5].tobytes()


STREAMS = {
    "vosk": ("/vosk", []),
    "wenet": ("/wenet", ['{"signal": "start", "continuous_decoding": true}']),
    "realtime": (
        "/v1/realtime",
        [
            '{"type": "session.update", "session": '
            '{"audio": {"input": {"format": {"type": "audio/pcm", "rate": 16000}}}}}'
        ],
    ),
}


@pytest.mark.parametrize("protocol", STREAMS)
def test_websockets(tones, audio, protocol):
    path, start = STREAMS[protocol]

    async def talk():
        async with running(tones) as bench:
            client = await bench.http.ws_connect(bench.server.make_url(path))
            for message in start:
                await client.send_str(message)
            if protocol == "realtime":
                event = {
                    "type": "input_audio_buffer.append",
                    "audio": base64.b64encode(audio).decode(),
                }
                await client.send_json(event)
            else:
                await client.send_bytes(audio)
            came = [await client.receive_str()]
            while "low" not in came[-1]:  # what it has heard of the audio
                came.append(await client.receive_str())
            drained = asyncio.create_task(bench.server.app[SERVER].drain())
            async for message in client:
                came.append(message.data)
            await drained
            return came, client.close_code

    came, close_code = asyncio.run(talk())
    assert close_code == GOING_AWAY
    *_, result, goodbye = [text for text in came if "low high mid" in text or "stopping" in text]
    assert "low high mid" in result
    assert "the server is stopping" in goodbye
    assert came[-1] == goodbye


def test_wyoming(tones, audio):
    async def talk():
        came = []
        async with running(tones) as bench, wyoming(bench.server.app) as (reader, writer):
            form = {"rate": 16000, "width": 2, "channels": 1}
            writer.write(pack(WyomingEvent("audio-chunk", form, audio)))
            scheduler = bench.server.app[SERVER].scheduler
            while not any(session.fed_s > 1 for session in scheduler.sessions):
                await asyncio.sleep(0.01)
            await bench.server.app[SERVER].drain()
            while (event := await read_event(reader, 10_000)) is not None:
                came.append(event)
        return came

    came = asyncio.run(talk())
    assert [event.type for event in came] == ["transcript-start", "transcript-chunk", "error"]
    assert came[1].data["text"].startswith("low high mid")
    assert came[2].data["code"] == "shutting_down"


def test_wyoming_connections_end_with_their_server(tones):
    async def talk():
        async with running(tones) as bench:
            async with wyoming(bench.server.app) as (reader, writer):
                writer.write(json.dumps({"type": "ping"}).encode() + b"\n")
                assert (await read_event(reader, 1000)).type == "pong"
            return await read_event(reader, 1000)

    assert asyncio.run(talk()) is None
