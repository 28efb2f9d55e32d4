"""The Vosk server's protocol, spoken as its own client scripts speak it: one answer a block."""

import asyncio
import json
import wave

import pytest
import websockets


async def converse(address, talk, config, block_ms=200, ending='{"eof" : 1}'):
    """All answers to a file, block by block, and the close code."""
    answers = []
    async with websockets.connect(address) as socket, asyncio.timeout(30):
        with wave.open(str(talk)) as file:
            if config is not None:
                config = {"sample_rate": file.getframerate(), **config}
                await socket.send(json.dumps({"config": config}))
            while block := file.readframes(file.getframerate() * block_ms // 1000):
                await socket.send(block)
                answers.append(json.loads(await socket.recv()))
        await socket.send(ending)
        answers.append(json.loads(await socket.recv()))
        if ending == '{"eof" : 1}':
            await socket.wait_closed()
            assert socket.close_code == 1000
    return answers


def results(answers):
    return [answer for answer in answers if answer.get("text")]


@pytest.mark.parametrize("path", ["", "/vosk"])
@pytest.mark.parametrize("config", [None, {}, {"words": True, "phrase_list": []}])
def test_it_gives_what_transcribe_gives(server, talk, finals, path, config):
    answers = asyncio.run(converse(f"ws://127.0.0.1:{server.port}{path}", talk, config))
    found = results(answers)
    assert [result["text"] for result in found] == [final["text"] for final in finals]
    words = [(w["text"], w["start_s"], w["end_s"]) for f in finals for w in f["words"]]
    heard = [w for result in found for w in result["result"]]
    assert [(w["word"], w["start"], w["end"]) for w in heard] == words
    assert all(0 <= w["conf"] <= 1 for w in heard)


def test_a_list_of_phrases(server, talk, finals):
    address = f"ws://127.0.0.1:{server.port}/vosk"
    said = [final["text"] for final in finals]
    config = {"phrase_list": ["high high", *said, "[unk]"]}
    found = results(asyncio.run(converse(address, talk, config)))
    assert [result["text"] for result in found] == said

    async def misspell():
        async with websockets.connect(address) as socket:
            await socket.send(json.dumps({"config": {"phrase_list": ["low", "tide"]}}))
            await socket.send(bytes(3200))
            return json.loads(await socket.recv())

    assert "phrase_list:3: the word 'tide' cannot be" in asyncio.run(misspell())["error"]


def test_partials_grow_before_a_result(server, talk):
    answers = asyncio.run(converse(f"ws://127.0.0.1:{server.port}", talk, {}))
    first = next(i for i, answer in enumerate(answers) if "text" in answer)
    assert any(answer["partial"] for answer in answers[:first])


@pytest.mark.parametrize("block_ms", [20, 5000, 100_000])
def test_blocks_of_any_length(server, talk, text, block_ms):
    answers = asyncio.run(converse(f"ws://127.0.0.1:{server.port}", talk, {}, block_ms))
    assert " ".join(result["text"] for result in results(answers)) == text


def test_without_words_and_with_alternatives(server, talk, text):
    address = f"ws://127.0.0.1:{server.port}"
    plain = results(asyncio.run(converse(address, talk, {"words": False})))
    assert all("result" not in result for result in plain)
    answers = asyncio.run(converse(address, talk, {"max_alternatives": 3}))
    best = [answer["alternatives"][0] for answer in answers if "alternatives" in answer]
    assert max(len(answer.get("alternatives", [])) for answer in answers) == 3
    assert " ".join(one["text"] for one in best if one["text"]) == text


def test_after_a_reset_another_stream_begins(server, talk, text):
    async def twice():
        found = []
        async with websockets.connect(f"ws://127.0.0.1:{server.port}") as socket:
            with wave.open(str(talk)) as file:
                audio = file.readframes(file.getnframes())
            for ending in ('{"reset" : 1}', '{"eof" : 1}'):
                await socket.send(audio)
                await socket.send(ending)
                two = [json.loads(await socket.recv()) for _ in range(2)]
                found.append(" ".join(answer["text"] for answer in two if answer.get("text")))
        return found

    assert asyncio.run(twice()) == [text, text]


def test_nothing_said_is_an_empty_text(server):
    async def silent():
        async with websockets.connect(f"ws://127.0.0.1:{server.port}/vosk") as socket:
            await socket.send('{"eof" : 1}')
            return json.loads(await socket.recv())

    assert asyncio.run(silent()) == {"text": ""}


@pytest.mark.parametrize(
    "message",
    [
        "nonsense",
        "[]",
        '{"colour": 1}',
        '{"config": 3}',
        '{"config": {"sample_rate": 5}}',
        '{"config": {"sample_rate": "fast"}}',
        '{"config": {"sample_rate": NaN}}',
        b"\0",
        "[" * 100_000,
    ],
    ids=lambda message: str(message)[:40],
)
def test_mistakes_get_one_error_and_a_close_code(server, message):
    async def wrong():
        async with websockets.connect(f"ws://127.0.0.1:{server.port}/vosk") as socket:
            await socket.send(message)
            answer = json.loads(await socket.recv())
            await socket.wait_closed()
            return answer, socket.close_code

    answer, code = asyncio.run(wrong())
    assert list(answer) == ["error"]
    assert code == 1007
