"""Whatever a client sends: at most one error event, a close code, and the server goes on."""

import asyncio
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from serve.babble import hear, say, values
from serve.clients import SPEECH, finals, running, s16, stream_finals

known_keys = st.sampled_from(
    [
        *("type", "version", "sample_rate_hz", "encoding", "chunk_ms", "mode", "partials"),
        "trailing_silence_ms",
    ]
)
known_values = st.sampled_from(
    [
        *("start", "finish", 1, 8000, 16000, 44100, 48000, "s16le", "f32le", 640, 0, "greedy"),
        *("rescoring", True, False, None, -1, 10**30, 1e308, "\ud800"),
    ]
)
objects = st.dictionaries(known_keys, known_values | values, max_size=6)
starts = st.builds(lambda fields: {**fields, "type": "start"}, objects)
plain_start = st.just({"type": "start"})
controls = (st.just({"type": "finish"}) | plain_start | starts | objects | values).map(json.dumps)
messages = st.lists(
    controls | st.text(max_size=50) | st.binary(max_size=4000) | st.just(bytes(40_000)), max_size=6
)
conversations = st.tuples(plain_start.map(json.dumps) | controls, messages)


def check(heard: list[dict[str, Any]], close_code: int | None) -> None:
    errors = [event for event in heard if event["type"] == "error"]
    assert len(errors) <= 1
    assert heard[-1:] == errors or not errors
    assert close_code in ({1000} if not errors else {1007, 1008, 1009})
    assert "Traceback" not in json.dumps(heard)
    assert "internal" not in [event.get("code") for event in heard]


@settings(max_examples=60)
@given(st.lists(conversations, min_size=1, max_size=4))
def test_messages_of_the_grammar_and_beside_it(recognizer, talks):
    async def all_at_once():
        async with running(recognizer) as bench:
            await asyncio.gather(*[one(bench, first, rest) for first, rest in talks])

    async def one(bench, first, rest):
        async with bench.client() as client:
            heard, _ = await asyncio.gather(hear(client.socket), say(client.socket, [first, *rest]))
            check(heard, client.socket.close_code)

    asyncio.run(all_at_once())


@pytest.fixture(scope="module")
def expected(recognizer):
    return stream_finals(recognizer, SPEECH[0])


@settings(max_examples=40)
@given(st.lists(st.binary(max_size=200), min_size=1, max_size=10))
def test_raw_bytes_on_the_socket(recognizer, expected, complaints, garbage):
    """Behind an upgraded connection and on a fresh one; a stream beside them is not disturbed."""
    audio, rate_hz = s16(SPEECH[0])

    async def talk():
        async with running(recognizer) as bench, bench.client() as client:
            await client.start(sample_rate_hz=rate_hz)
            answers = [raw(bench, piece, i % 2 == 0) for i, piece in enumerate(garbage)]
            events, *_ = await asyncio.gather(client.play(audio), *answers)
            return events

    assert finals(asyncio.run(talk())) == expected
    assert complaints == []


async def raw(bench, piece, is_upgraded):
    """Send bytes behind the upgrade to a WebSocket, or instead of a request."""
    reader, writer = await asyncio.open_connection(bench.server.host, bench.server.port)
    if is_upgraded:
        writer.write(
            b"GET /v1/stream HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n"
            b"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
            b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
        )
    writer.write(piece)
    writer.write_eof()
    answer = await asyncio.wait_for(reader.read(), 20)
    writer.close()
    assert b"Traceback" not in answer
