"""WeNet's WebSocket protocol, spoken as its own client speaks it: signals, blocks, a read loop."""

import asyncio
import json
import wave

import pytest
import websockets


async def converse(address, talk, **start):
    """All messages of the server, read beside the sending, and the close code."""
    came = []
    async with websockets.connect(address) as socket, asyncio.timeout(30):

        async def read():
            async for text in socket:
                came.append(json.loads(text))

        reading = asyncio.create_task(read())
        await socket.send(json.dumps({"signal": "start", "nbest": 1, **start}))
        with wave.open(str(talk)) as file:
            while block := file.readframes(file.getframerate() // 2):
                await socket.send(block)
        await socket.send('{"signal": "end"}')
        await reading
    return came, socket.close_code


@pytest.mark.parametrize("path", ["", "/wenet"])
def test_it_gives_what_transcribe_gives(server, talk, finals, path):
    address = f"ws://127.0.0.1:{server.port}{path}"
    came, code = asyncio.run(converse(address, talk, continuous_decoding=True))
    assert code == 1000
    assert [message["status"] for message in came] == ["ok"] * len(came)
    kinds = [message["type"] for message in came]
    assert (kinds[0], kinds[-1]) == ("server_ready", "speech_end")
    assert "partial_result" in kinds
    best = [json.loads(m["nbest"])[0] for m in came if m["type"] == "final_result"]
    spoken = [one for one in best if one["sentence"]]
    assert [one["sentence"] for one in spoken] == [final["text"] for final in finals]
    pieces = [(p["word"], p["start"], p["end"]) for one in spoken for p in one["word_pieces"]]
    assert pieces == [
        (w["text"], round(1000 * w["start_s"]), round(1000 * w["end_s"]))
        for final in finals
        for w in final["words"]
    ]


def test_several_hypotheses(server, talk, finals):
    address = f"ws://127.0.0.1:{server.port}"
    came, _ = asyncio.run(converse(address, talk, nbest=3, continuous_decoding=True))
    best, *others = json.loads(next(m["nbest"] for m in came if m["type"] == "final_result"))
    assert best["sentence"] == finals[0]["text"]
    assert len({best["sentence"], *(other["sentence"] for other in others)}) == 3


def test_one_utterance_unless_asked_to_go_on(server, talk, finals):
    async def first_only():
        async with websockets.connect(f"ws://127.0.0.1:{server.port}") as socket:
            await socket.send('{"signal": "start"}')
            with wave.open(str(talk)) as file:
                await socket.send(file.readframes(file.getnframes()))
            return [json.loads(text) async for text in socket]

    came = asyncio.run(first_only())
    sentences = [json.loads(m["nbest"])[0]["sentence"] for m in came if "final" in m["type"]]
    assert sentences == [finals[0]["text"]]
    assert came[-1]["type"] == "speech_end"


def test_without_sound_there_is_still_a_result(server):
    async def silent():
        async with websockets.connect(f"ws://127.0.0.1:{server.port}") as socket:
            await socket.send('{"signal": "start"}')
            await socket.send('{"signal": "end"}')
            return [json.loads(text)["type"] async for text in socket]

    assert asyncio.run(silent()) == ["server_ready", "final_result", "speech_end"]


@pytest.mark.parametrize(
    "messages",
    [
        ["nonsense"],
        ["3"],
        ['{"signal": "pause"}'],
        ['{"signal": "end"}'],
        [b"\0\0"],
        ['{"signal": "start", "nbest": "many"}'],
        ['{"signal": "start", "continuous_decoding": 1}'],
        ['{"signal": "start", "sample_rate": 4000}'],
        ['{"signal": "start"}', '{"signal": "start"}'],
        ['{"signal": "start"}', b"\0"],
    ],
    ids=str,
)
def test_mistakes_get_a_failure_and_a_close_code(server, messages):
    async def wrong():
        async with websockets.connect(f"ws://127.0.0.1:{server.port}/wenet") as socket:
            for message in messages:
                await socket.send(message)
            try:
                came = [json.loads(text) async for text in socket]
            except websockets.ConnectionClosedError as error:
                return [], error.rcvd.code
            return came, socket.close_code

    came, code = asyncio.run(wrong())
    assert code == 1007
    assert not came or came[-1]["status"] == "failed"
