"""The Wyoming protocol with its own Python package, and with odd bytes."""

import asyncio
import json
import struct
import wave

import numpy as np
import pytest
import soundfile
from wyoming.asr import Transcribe, Transcript, TranscriptChunk, TranscriptStart, TranscriptStop
from wyoming.audio import AudioChunk, AudioChunkConverter, AudioStart, AudioStop, wav_to_chunks
from wyoming.client import AsyncTcpClient
from wyoming.event import Event
from wyoming.info import Describe, Info
from wyoming.ping import Ping, Pong

from halfbyte.serve.wyoming_audio import AudioForm


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


@pytest.mark.parametrize("width", [1, 2, 3, 4])
@pytest.mark.parametrize("channels", [1, 2, 5])
def test_audio_of_any_width_and_number_of_channels(server, talk, text, width, channels):
    samples = soundfile.read(talk, dtype="int16")[0].astype(np.int32)
    shifted = samples << 16 if width != 1 else (samples & ~0xFF) + 0x8000 << 16
    raw = shifted.astype("<u4").view(np.uint8).reshape(-1, 4)[:, 4 - width :]
    audio = np.repeat(raw[:, None], channels, axis=1).tobytes()

    async def utter_so():
        form = {"rate": 16000, "width": width, "channels": channels}
        async with AsyncTcpClient("127.0.0.1", server.wyoming_port) as client:
            await client.write_event(AudioStart(**form).event())
            step = 1600 * width * channels
            for start in range(0, len(audio), step):
                await client.write_event(
                    AudioChunk(audio=audio[start : start + step], **form).event()
                )
            await client.write_event(AudioStop().event())
            while not Transcript.is_type((event := await client.read_event()).type):
                pass
            return Transcript.from_event(event).text

    assert asyncio.run(utter_so()) == text


@pytest.mark.parametrize("width", [1, 3, 4])
def test_widths_are_those_of_wyomings_own_converter(width):
    audio = bytes(range(256)) * 3
    converter = AudioChunkConverter(width=2, channels=1)
    theirs = converter.convert(AudioChunk(rate=16000, width=width, channels=1, audio=audio)).audio
    assert AudioForm(16000, width, 1).to_s16(audio) == theirs


def test_channels_are_averaged():
    frames = struct.pack("<6h", 100, 300, -32768, -32768, 32767, -1)
    assert struct.unpack("<3h", AudioForm(16000, 2, 2).to_s16(frames)) == (200, -32768, 16383)
    assert struct.unpack("<2h", AudioForm(16000, 2, 3).to_s16(frames)) == (-10790, -1)


def chunk(**changed):
    audio = {"rate": 16000, "width": 2, "channels": 1, **changed}
    return Event("audio-chunk", audio, bytes(64))


@pytest.mark.parametrize(
    "event",
    [
        *(chunk(width=5), chunk(width=0), chunk(channels=65), chunk(channels=7), chunk(width=3)),
        *(
            chunk(rate=5),
            chunk(rate="fast"),
            chunk(rate=96000),
            chunk(rate=None),
            chunk(width=True),
        ),
    ],
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
