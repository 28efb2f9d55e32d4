"""The Wyoming protocol with its own Python package, and with odd bytes."""

import asyncio
import json
import wave

import pytest
from wyoming.asr import Transcribe, Transcript, TranscriptChunk, TranscriptStart, TranscriptStop
from wyoming.audio import AudioChunk, AudioStart, AudioStop, wav_to_chunks
from wyoming.client import AsyncTcpClient
from wyoming.event import Event
from wyoming.info import Describe, Info
from wyoming.ping import Ping, Pong


async def utter(client, talk):
    """Sends a recording as Home Assistant does; the answers up to the transcript's stop."""
    await client.write_event(Transcribe(language="en").event())
    with wave.open(str(talk)) as file:
        for event in wav_to_chunks(file, 1024, start_event=True, stop_event=True):
            await client.write_event(event.event())
    came = []
    async with asyncio.timeout(20):
        while not came or not TranscriptStop.is_type(came[-1].type):
            came.append(await client.read_event())
            assert came[-1] is not None
    return came


def test_it_gives_what_transcribe_gives_utterance_after_utterance(server, talk, text, finals):
    async def talk_twice():
        async with AsyncTcpClient("127.0.0.1", server.wyoming_port) as client:
            return [await utter(client, talk) for _ in range(2)]

    for came in asyncio.run(talk_twice()):
        start, *chunks, transcript, _ = came
        assert TranscriptStart.is_type(start.type)
        assert Transcript.from_event(transcript).text == text
        parts = [TranscriptChunk.from_event(chunk).text for chunk in chunks]
        assert "".join(parts) == text
        assert len(parts) == len(finals)


def test_describe(server):
    async def describe():
        async with AsyncTcpClient("127.0.0.1", server.wyoming_port) as client:
            await client.write_event(Ping(text="there?").event())
            pong = await client.read_event()
            await client.write_event(Describe().event())
            return Pong.from_event(pong).text, Info.from_event(await client.read_event())

    pong, info = asyncio.run(describe())
    assert pong == "there?"
    (program,) = info.asr
    (model,) = program.models
    assert program.supports_transcript_streaming
    assert model.installed
    assert model.languages == []  # the model of tones has none


def test_nothing_said_is_an_empty_transcript(server):
    async def silent():
        async with AsyncTcpClient("127.0.0.1", server.wyoming_port) as client:
            await client.write_event(AudioStart(rate=16000, width=2, channels=1).event())
            chunk = AudioChunk(rate=16000, width=2, channels=1, audio=bytes(32000))
            await client.write_event(chunk.event())
            await client.write_event(AudioStop().event())
            return Transcript.from_event(await client.read_event()).text

    assert asyncio.run(silent()) == ""


def chunk(**changed):
    audio = {"rate": 16000, "width": 2, "channels": 1, **changed}
    return Event("audio-chunk", audio, bytes(64))


@pytest.mark.parametrize(
    "event",
    [chunk(width=4), chunk(channels=2), chunk(rate=5), chunk(rate="fast"), chunk(rate=96000)],
    ids=lambda event: str(event.data),
)
def test_other_audio_gets_an_error_event(server, event):
    async def wrong():
        async with AsyncTcpClient("127.0.0.1", server.wyoming_port) as client:
            await client.write_event(event)
            return await client.read_event(), await client.read_event()

    error, end = asyncio.run(wrong())
    assert error.type == "error"
    assert error.data["text"]
    assert end is None


@pytest.mark.parametrize(
    "sent",
    [
        b"nonsense\n",
        b"[]\n",
        b'{"type": 5}\n',
        b'{"type": "describe", "data": 3}\n',
        b'{"type": "audio-chunk", "payload_length": -1}\n',
        b'{"type": "audio-chunk", "payload_length": 99999999999}\n',
        b'{"type": "audio-chunk", "payload_length": 1e9}\n',
        b'{"type": "describe", "data_length": 2}\n[]',
        b"x" * 200_000,
        b"[" * 60_000 + b"\n",
    ],
    ids=lambda sent: sent[:40].decode(),
)
def test_odd_bytes_get_one_error_event(server, sent):
    async def wrong():
        reader, writer = await asyncio.open_connection("127.0.0.1", server.wyoming_port)
        writer.write(sent)
        head = json.loads(await reader.readline())
        try:
            data = json.loads(await reader.readexactly(head["data_length"]))
            end = await reader.read()
        except ConnectionResetError:  # what we sent was not read to its end
            data, end = {"text": "?"}, b""
        writer.close()
        return head, data, end

    head, data, end = asyncio.run(wrong())
    assert head["type"] == "error"
    assert data["text"]
    assert end == b""


def test_a_client_that_leaves_in_the_middle_disturbs_nobody(server, talk, text):
    async def leave():
        _, writer = await asyncio.open_connection("127.0.0.1", server.wyoming_port)
        writer.write(
            b'{"type": "audio-chunk", "data": {"rate": 16000}, "payload_length": 9999}\n12'
        )
        await writer.drain()
        writer.close()
        async with AsyncTcpClient("127.0.0.1", server.wyoming_port) as client:
            return await utter(client, talk)

    *_, transcript, _ = asyncio.run(leave())
    assert Transcript.from_event(transcript).text == text
