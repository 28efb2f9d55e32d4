"""Whatever a client of another protocol sends: no traceback, and the server goes on."""

import asyncio
import json

import aiohttp
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from serve.babble import hear, say, values
from serve.clients import running, wyoming

from halfbyte.serve.refusals import CLOSE_CODES

WORDS = {
    "/vosk": (
        ["config", "sample_rate", "words", "max_alternatives", "eof", "reset", "phrase_list"],
        [1, 0, 8000, 16000.0, True, None, {"sample_rate": 8000}, float("nan"), ["a"]],
    ),
    "/wenet": (
        ["signal", "nbest", "continuous_decoding", "sample_rate"],
        ["start", "end", 1, True, 8000, 16000],
    ),
    "/v1/realtime": (
        ["type", "audio", "session", "input", "format", "rate", "turn_detection", "event_id"],
        [
            *("session.update", "transcription_session.update", "input_audio_buffer.append"),
            *("input_audio_buffer.commit", "input_audio_buffer.clear", "AAAA", "%", 24000, None),
            {"audio": {"input": {"turn_detection": None}}},
            {"audio": {"input": {"format": {"type": "audio/pcm", "rate": 8000}}}},
            {"type": "server_vad", "silence_duration_ms": 0},
        ],
    ),
}
WORDS["/"] = tuple(WORDS["/vosk"][i] + WORDS["/wenet"][i] for i in range(2))


def messages(path):
    """Messages of a protocol's grammar, and beside it."""
    keys, known = WORDS[path]
    objects = st.dictionaries(st.sampled_from(keys), st.sampled_from(known) | values, max_size=4)
    texts = (objects | values).map(json.dumps) | st.text(max_size=50)
    return st.lists(texts | st.binary(max_size=4000) | st.just(bytes(40_000)), max_size=6)


@pytest.mark.parametrize("path", WORDS)
def test_messages_of_the_grammar_and_beside_it(tones, complaints, path):
    @settings(max_examples=40, deadline=None)
    @given(st.lists(messages(path), min_size=1, max_size=4))
    def talk(conversations):
        asyncio.run(all_at_once(conversations))

    async def all_at_once(conversations):
        async with running(tones) as bench:
            await asyncio.gather(*[one(bench, said) for said in conversations])

    async def one(bench, said):
        async with bench.http.ws_connect(bench.server.make_url(path)) as client:
            hearing = asyncio.create_task(hear(client))
            await say(client, said)
            await client.close()
            heard = await hearing
            assert "Traceback" not in json.dumps(heard)
            assert "internal" not in json.dumps(heard)
            assert client.close_code in {1000, 1005, 1006, *CLOSE_CODES.values()}

    talk()
    assert complaints == []


heads = st.dictionaries(
    st.sampled_from(["type", "data", "data_length", "payload_length", "rate", "width"]),
    st.sampled_from(["describe", "audio-start", "audio-chunk", "audio-stop", "ping", 16000, 0, 4])
    | st.just({"rate": 16000, "width": 2, "channels": 1})
    | values,
    max_size=5,
)
lines = heads.map(lambda head: json.dumps(head).encode() + b"\n")


@settings(max_examples=60, deadline=None)
@given(sent=st.lists(lines | st.binary(max_size=60), max_size=8))
def test_wyoming(tones, complaints, sent):
    async def talk():
        async with running(tones) as bench, wyoming(bench.server.app) as (reader, writer):
            writer.write(b"".join(sent))
            writer.write_eof()
            answer = await asyncio.wait_for(reader.read(), 20)
            assert b"Traceback" not in answer

    asyncio.run(talk())
    assert complaints == []


names = st.sampled_from(
    ["model", "response_format", "chunk_ms", "timestamp_granularities[]", "stream", "file"]
)


@settings(max_examples=40, deadline=None)
@given(body=st.binary(max_size=300), name=names, value=st.text(max_size=10))
def test_files(tones, complaints, body, name, value):
    async def talk():
        form = aiohttp.FormData()
        form.add_field("file", b"RIFF" + body, filename=name)
        form.add_field(name, value)
        async with running(tones) as bench:
            address = bench.server.make_url("/v1/audio/transcriptions")
            async with bench.http.post(address, data=form) as answer:
                assert answer.status == 400
                assert (await answer.json())["error"]["message"]
            async with bench.http.post(
                address, data=body, headers={"Content-Type": "multipart/form-data; boundary=x"}
            ) as answer:
                assert answer.status == 400

    asyncio.run(talk())
    assert complaints == []
