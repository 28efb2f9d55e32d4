"""Realtime transcription events: with OpenAI's own Python client, and by hand."""

import asyncio
import base64
import json

import numpy as np
import openai
import pytest
import soundfile
import websockets
from serve.clients import stream_finals

RATE_HZ = 24000  # what the protocol asks for
BLOCK_SAMPLES = RATE_HZ // 10
TRANSCRIPTION = "conversation.item.input_audio_transcription"
COMPLETED = f"{TRANSCRIPTION}.completed"


@pytest.fixture(scope="session")
def talk24(talk, tmp_path_factory):
    """The talk at 24 kHz: its file."""
    samples, rate_hz = soundfile.read(talk)
    times = np.arange(int(len(samples) * RATE_HZ / rate_hz)) * rate_hz / RATE_HZ
    path = tmp_path_factory.mktemp("audio24") / "talk.wav"
    soundfile.write(path, np.interp(times, np.arange(len(samples)), samples), RATE_HZ)
    return path


@pytest.fixture(scope="session")
def appends(talk24):
    """The talk as base64 texts."""
    codes, _ = soundfile.read(talk24, dtype="int16")
    blocks = [codes[i : i + BLOCK_SAMPLES] for i in range(0, len(codes), BLOCK_SAMPLES)]
    return [base64.b64encode(block.tobytes()).decode() for block in blocks]


@pytest.fixture(scope="session")
def texts(tones, talk24):
    return [final["text"] for final in stream_finals(tones, talk24) if final["text"]]


def by_item(events, kind):
    """Item -> what its events of a kind say, joined."""
    found = {}
    for event in events:
        if event.type == f"{TRANSCRIPTION}.{kind}":
            said = event.delta if kind == "delta" else event.transcript
            found[event.item_id] = found.get(event.item_id, "") + said
    return found


async def converse(server, appends, session, num_completed):
    """What OpenAI's client receives, until the session's update and so many items are there."""
    events = []
    async with (
        openai.AsyncOpenAI(base_url=f"{server.url}/v1", api_key="none") as client,
        client.realtime.connect(
            model="tones", extra_query={"intent": "transcription"}
        ) as connection,
    ):
        await connection.session.update(session={"type": "transcription", **session})
        for audio in appends:
            await connection.input_audio_buffer.append(audio=audio)
        await connection.input_audio_buffer.commit()
        async with asyncio.timeout(20):
            while sum(event.type == COMPLETED for event in events) < num_completed:
                events.append(await connection.recv())
    return events


def test_turns_found_by_the_server(server, appends, texts):
    events = asyncio.run(converse(server, appends, {}, len(texts)))
    completed = by_item(events, "completed")
    assert [text for text in completed.values() if text] == texts
    kinds = [event.type for event in events]
    assert kinds[:2] == ["session.created", "session.updated"]
    deltas = by_item(events, "delta")
    assert all(text == "" or item in deltas for item, text in completed.items())
    first = next(iter(deltas))
    of_first = [e.type for e in events if getattr(e, "item_id", None) == first]
    assert of_first[0] == "input_audio_buffer.speech_started"
    assert of_first[-1] == COMPLETED
    assert of_first.index("input_audio_buffer.speech_stopped") + 1 == of_first.index(
        "input_audio_buffer.committed"
    )


def test_deltas_come_while_words_are_spoken(server, appends, texts):
    events = asyncio.run(converse(server, appends, {}, len(texts)))
    kinds = [(event.type, getattr(event, "item_id", None)) for event in events]
    early = [
        item
        for kind, item in kinds
        if kind == f"{TRANSCRIPTION}.delta"
        and kinds.index((kind, item)) < kinds.index(("input_audio_buffer.committed", item))
    ]
    assert early or max(len(text.split()) for text in texts) < 3


def test_one_item_between_two_commits(server, appends, tones, talk24):
    session = {"audio": {"input": {"turn_detection": None}}}
    events = asyncio.run(converse(server, appends, session, 1))
    finals = stream_finals(tones, talk24, endpoint=_no_silence())
    (text,) = by_item(events, "completed").values()
    assert text == " ".join(final["text"] for final in finals if final["text"])
    assert not any("speech" in event.type for event in events)


def _no_silence():
    from halfbyte import EndpointRule

    return EndpointRule(None)


async def talk_by_hand(server, *events, until):
    """Events that come until one of a type, after sending some."""
    address = f"ws://127.0.0.1:{server.port}/v1/realtime?intent=transcription"
    came = []
    async with websockets.connect(address) as socket, asyncio.timeout(10):
        for event in events:
            await socket.send(event if isinstance(event, str | bytes) else json.dumps(event))
        while not came or came[-1]["type"] != until:
            came.append(json.loads(await socket.recv()))
    return came


def test_the_older_form(server, appends, texts):
    update = {
        "type": "transcription_session.update",
        "session": {
            "input_audio_format": "pcm16",
            "turn_detection": {"type": "server_vad", "silence_duration_ms": 800},
        },
    }
    audio = [{"type": "input_audio_buffer.append", "audio": audio} for audio in appends]
    came = asyncio.run(talk_by_hand(server, update, *audio, until=COMPLETED))
    assert came[1]["type"] == "transcription_session.updated"
    assert came[-1]["transcript"] == texts[0]


@pytest.mark.parametrize(
    ("event", "code"),
    [
        ("nonsense", "invalid_json"),
        (b"\0\1", "invalid_json"),
        ([], "invalid_event"),
        ({"type": 5}, "invalid_event"),
        ({"type": "response.create"}, "unknown_event"),
        ({"type": "input_audio_buffer.append", "audio": "%%%"}, "invalid_audio"),
        ({"type": "input_audio_buffer.append"}, "invalid_audio"),
        ({"type": "input_audio_buffer.commit"}, "input_audio_buffer_commit_empty"),
        ({"type": "session.update"}, "invalid_value"),
        ({"type": "session.update", "session": {"audio": []}}, None),
        ({"type": "session.update", "session": {"audio": {"input": 3}}}, "invalid_value"),
        (
            {"type": "session.update", "session": {"input_audio_format": "g711_ulaw"}},
            "invalid_value",
        ),
        (
            {"type": "session.update", "session": {"turn_detection": {"type": "semantic_vad"}}},
            "invalid_value",
        ),
    ],
    ids=str,
)
def test_mistakes_leave_the_connection_open(server, event, code):
    if isinstance(event, dict):
        event = event | {"event_id": "mine"}
    cleared = {"type": "input_audio_buffer.clear"}
    came = asyncio.run(talk_by_hand(server, event, cleared, until="input_audio_buffer.cleared"))
    errors = [message["error"] for message in came if message["type"] == "error"]
    assert [error["code"] for error in errors] == ([] if code is None else [code])
    if errors and isinstance(event, dict) and isinstance(event["type"], str):
        assert errors[0]["event_id"] == "mine"
