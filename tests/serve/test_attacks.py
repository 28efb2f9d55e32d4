"""What clients can do to a server over its sockets: bounded in time, in memory and in the log."""

import asyncio
import contextlib
import gzip
import json
import os
import resource
import socket
import time
import wave

import pytest
import websockets
from paths import TONES
from serve.clients import Client, finals, running, s16
from serve.raw import UPGRADE, frame, get, post, received, serving
from serve.test_vosk import converse, results

from halfbyte.serve.frames import MaskedFrames
from halfbyte.serve.json_text import is_object, read_json
from halfbyte.serve.settings import Limits


@pytest.fixture(scope="module")
def attacked():
    """A server with short deadlines; its log stays empty whatever the tests send."""
    with serving("--idle-s", "3") as server:
        yield server
        assert "Traceback" not in server.log()
        assert len(server.log()) < 2000


def part(name: bytes, body: bytes = b"1", more: bytes = b"") -> bytes:
    return b'--x\r\nContent-Disposition: form-data; name="%b"%b\r\n\r\n%b\r\n' % (name, more, body)


def test_compressed_bodies_are_refused_and_not_unpacked(attacked):
    bomb = gzip.compress(b"\r\n" * 20_000_000)
    start_s = time.monotonic()
    assert attacked.status(post(bomb, b"Content-Encoding: gzip")) == 415
    assert time.monotonic() - start_s < 5


@pytest.mark.parametrize(
    "body",
    [
        b"\r\n" * 5_000_000 + b"--x--\r\n",
        b"".join(part(b"a") for _ in range(60_000)) + b"--x--\r\n",
    ],
    ids=["lines before the first part", "tiny parts"],
)
def test_what_costs_much_in_few_bytes_is_cut_short(attacked, body):
    start_s = time.monotonic()
    assert attacked.status(post(body)) in (413, 0)  # 0: it has closed while we were sending
    assert time.monotonic() - start_s < 10
    assert attacked.status(get(b"/health")) == 200


def test_a_body_longer_than_stated_allowed_is_refused_at_once(attacked):
    head = post(b"").replace(b"Content-Length: 0", b"Content-Length: 999999999999")
    assert attacked.status(head) == 413


def test_chunked_bodies_have_the_same_bound(recognizer):
    async def talk():
        async def pieces():
            yield part(b"file", bytes(100_000), b'; filename="a"')

        async with running(recognizer, limits=Limits(max_upload_bytes=50_000)) as bench:
            url = bench.server.make_url("/v1/audio/transcriptions")
            headers = {"Content-Type": "multipart/form-data; boundary=x"}
            async with bench.http.post(url, data=pieces(), headers=headers) as answer:
                return answer.status

    assert asyncio.run(talk()) == 413


def test_a_request_has_a_deadline_in_all():
    with serving("--request-s", "1") as server, server.connect() as client:
        client.sendall(post(bytes(1000))[:-900])
        assert client.recv(100).startswith(b"HTTP/1.1 408")


ODD_HEADS = {
    "token": (get(b"/v1/models", b"Authorization: Bearer \xff"), {400, 401}),
    "origin": (get(b"/v1/models", b"Origin: http://["), {400}),
    "origin, no UTF-8": (get(b"/v1/models", b"Origin: http://\xff"), {400}),
    "host": (get(b"/v1/models").replace(b"localhost", b"\xff"), {400}),
    "expectation": (get(b"/health", b"Expect: \xff"), {400}),
    "query": (get(b"/v1/models?token=\xff"), {200, 400}),
    "half a pair in the query": (get(b"/v1/models?token=%ED%A0%80"), {200, 400}),
    "path": (get(b"/v1/models/\xed\xa0\x80"), {400, 404}),
    "key": (get(b"/v1/stream", b"Upgrade: websocket", b"Connection: Upgrade"), {400}),
    "no HTTP": (b"\x16\x03\x01\x02\x00 nonsense\r\n\r\n", {400}),
    "boundary": (post(b"--x--\r\n", kind=b"multipart/form-data"), {400}),
    "long boundary": (
        post(b"--x--\r\n", kind=b"multipart/form-data; boundary=" + b"y" * 99),
        {400},
    ),
    "type": (post(b"--x--\r\n", kind=b"multipart/form-data; boundary*0*=x''%ff"), {400}),
    "chunks": (
        post(b"zz\r\n\r\n", b"Transfer-Encoding: chunked").replace(b"Content-Length: 6\r\n", b""),
        {400},
    ),
}
ODD_PARTS = {
    "no colon": b"--x\r\nnonsense\r\n\r\n1\r\n",
    "a colon alone": b"--x\r\n: form-data\r\n\r\n1\r\n",
    "no UTF-8": part(b"file", b"1", b'; filename="\xff"'),
    "half a pair": part(b"file", b"1", b"; filename*=utf-8''%ED%A0%80"),
    "unknown charset": part(b"a", b"1", b"; filename*0*=none''%ff"),
    "cut charset": part(b"a", b"1", b"; filename*0*='"),
    "default charset": part(b"_charset_", b"x" * 50),
    "default charset, no UTF-8": part(b"_charset_", b"\xff"),
    "long line": b"--x\r\nA: " + b"y" * 100_000 + b"\r\n\r\n1\r\n",
    "many lines": b"--x\r\n" + b"A: 1\r\n" * 500 + b"\r\n1\r\n",
    "base64": part(b"file", b"%", b'; filename="a"\r\nContent-Transfer-Encoding: base64'),
    "inside another": b"--x\r\nContent-Type: multipart/mixed; boundary=x\r\n\r\n1\r\n",
    "inside another, no boundary": b"--x\r\nContent-Type: multipart/mixed\r\n\r\n1\r\n",
    "cut": b"--x\r\nContent-Disposition: form-data",
}


@pytest.mark.parametrize("name", ODD_HEADS)
def test_odd_heads_of_requests_get_a_status_and_a_line(attacked, name):
    sent, expected = ODD_HEADS[name]
    head, _, body = attacked.answer(sent).partition(b"\r\n\r\n")
    assert int(head.split()[1]) in expected
    assert body


@pytest.mark.parametrize("name", ODD_PARTS)
@pytest.mark.parametrize("end", [b"--x--\r\n", b""], ids=["whole", "cut"])
def test_odd_parts_of_forms_get_400_and_a_line(attacked, name, end):
    head, _, body = attacked.answer(post(ODD_PARTS[name] + end)).partition(b"\r\n\r\n")
    assert int(head.split()[1]) in (400, 413)
    assert json.loads(body)["error"]["message"]


HALF = '{"type": "\\ud800", "event_id": "\\ud800", "signal": "\\udfff", "config": "\\ud800"}'


@pytest.mark.parametrize("path", ["/v1/stream", "/vosk", "/wenet", "/v1/realtime", "/"])
def test_half_a_surrogate_pair_is_a_mistake_like_others(server, path):
    async def talk():
        async with websockets.connect(f"ws://127.0.0.1:{server.port}{path}") as client:
            await client.send(HALF)
            answers = [await client.recv()]
            if path == "/v1/realtime":
                answers.append(await client.recv())
            return answers[-1]

    assert any(word in asyncio.run(talk()) for word in ('"error"', '"failed"'))


def test_half_a_surrogate_pair_from_a_wyoming_client(attacked):
    for sent in (b'{"type": "ping", "data": {"text": "\\ud800"}}\n', b'{"type": "\xed\xa0\x80"}\n'):
        with socket.create_connection(("127.0.0.1", attacked.wyoming_port), timeout=10) as client:
            client.sendall(sent)
            assert b'"error"' in received(client)


def test_json_of_clients():
    assert read_json('{"a": "\\ud83d\\ude00"}') == {"a": "\U0001f600"}
    for text in ('"\\ud800"', b'"\xed\xa0\x80"', "[" * 100_000, "{", b"\xff", "1" * 5000):
        with pytest.raises(ValueError, match=r"."):
            read_json(text)
    assert is_object(b' {"eof" : 1}\n')
    assert not any(map(is_object, (b"", b"{}}", b"[1]", b"{\xff}", b"{" * 50_000 + b"}" * 50_000)))


@pytest.mark.parametrize("opcode", [1, 2, 8, 9])
@pytest.mark.parametrize("split", [False, True])
def test_a_frame_without_a_mask_ends_the_connection(attacked, opcode, split):
    first = frame(b'{"type": "start"}', opcode=1)
    sent = first + frame(bytes(130), is_masked=False, opcode=opcode)
    with attacked.connect() as client:
        client.sendall(UPGRADE % b"/v1/stream")
        for piece in [sent[i : i + 1] for i in range(len(sent))] if split else [sent]:
            client.sendall(piece)
        came = received(client)
    assert b"ready" in came
    assert came.endswith(b"\x88\x02\x03\xea")  # 1002, a breach of the protocol


@pytest.mark.parametrize("num_bytes", [0, 1, 125, 126, 65535, 65536, 70000])
@pytest.mark.parametrize("step", [1, 7, 100_000])
def test_masked_frames_come_through_in_any_pieces(num_bytes, step):
    came = []
    reader = type("Reader", (), {"feed_data": staticmethod(came.append)})
    frames = MaskedFrames(reader)
    sent = frame(bytes(num_bytes)) + frame(b"x", opcode=1) + frame(bytes(num_bytes))
    for start in range(0, len(sent), step):
        frames.feed_data(sent[start : start + step])
    assert b"".join(came) == sent


def test_messages_without_content_do_not_keep_a_stream_open(attacked):
    """Nor does a ping, and neither takes memory."""
    with attacked.connect() as client:
        client.sendall(UPGRADE % b"/v1/stream" + frame(b'{"type": "start"}', opcode=1))
        start_s = time.monotonic()
        with pytest.raises(OSError, match=r"."):  # noqa: PT012
            while time.monotonic() - start_s < 20:
                client.sendall((frame(b"") + frame(b"", opcode=9)) * 20)
                time.sleep(0.2)
        assert 2 < time.monotonic() - start_s < 15


def test_a_flood_of_empty_messages_leaves_others_their_turn(attacked):
    with attacked.connect() as client:
        client.sendall(UPGRADE % b"/v1/stream" + frame(b'{"type": "start"}', opcode=1))
        client.setblocking(False)
        for _ in range(20):
            try:
                client.send(frame(b"") * 40_000)
            except BlockingIOError:
                time.sleep(0.05)
            start_s = time.monotonic()
            assert attacked.status(get(b"/health")) == 200
            assert time.monotonic() - start_s < 5


def test_clients_that_leave_at_any_moment_leave_no_line(attacked):
    upgrade = UPGRADE % b"/v1/stream"
    upload = post(part(b"file", bytes(5000), b'; filename="a"'))
    waiting = post(b"x", b"Expect: 100-continue")[:-1]
    begun = upgrade + frame(b'{"type": "start"}', 1)
    for sent in (upgrade, upgrade[:50], begun, upload[:-99], waiting):
        for _ in range(10):
            client = attacked.connect()
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")  # a reset
            client.sendall(sent)
            client.close()
    assert attacked.status(get(b"/health")) == 200
    assert attacked.log() == ""


def test_idle_connections_end_and_those_that_wait_are_served():
    """More connections than descriptors: none is refused, and the log stays short."""

    def few_descriptors():
        resource.setrlimit(resource.RLIMIT_NOFILE, (200, 200))

    with serving(preexec_fn=few_descriptors) as server:
        with contextlib.ExitStack() as idle:
            for _ in range(250):
                idle.enter_context(server.connect())
            assert server.status(get(b"/health")) == 200  # once the first have been sent away
        assert len(server.log()) < 5000
        assert "Traceback" not in server.log()


def test_a_head_has_to_come_in_time_however_slowly_it_drips():
    with serving() as server, server.connect() as client:
        start_s = time.monotonic()
        with pytest.raises(OSError, match=r"."):  # noqa: PT012
            for byte in UPGRADE % b"/v1/stream":
                client.sendall(bytes([byte]))
                time.sleep(0.25)
        assert 8 < time.monotonic() - start_s < 15


def test_malformed_requests_do_not_fill_the_log():
    with serving() as server:
        for i in range(100):
            server.status(b"nonsense\r\n\r\n")
            server.status(post(part(b"a", b"1", b"%d=;" % i)))
            server.status(get(b"/v1/stream", b"Sec-WebSocket-Protocol: " + b"y" * 5000))
        assert len(server.log()) < 5000


def test_a_full_disk_is_507(talk):
    """The same as far as a process can tell: no file may grow beyond some bytes."""
    sent = post(part(b"file", talk.read_bytes(), b'; filename="a.wav"') + b"--x--\r\n")
    with serving() as server:
        resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE, (20_000, 20_000))
        head, _, body = server.answer(sent).partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 507")
        assert json.loads(body)["error"]["code"] == "disk_full"
        assert "Traceback" not in server.log()


def test_no_temporary_folder_is_503(talk, tmp_path):
    folder = tmp_path / "gone"
    folder.mkdir()
    sent = post(part(b"file", talk.read_bytes(), b'; filename="a.wav"') + b"--x--\r\n")
    with serving(environment={"TMPDIR": str(folder)}) as server:
        assert server.status(sent) == 200
        folder.rmdir()
        assert server.status(sent) == 503


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_model_file_may_be_truncated_or_overwritten_under_streams(tmp_path, talk, text, workers):
    model = tmp_path / "tones.hb"
    model.write_bytes(TONES.read_bytes())

    async def talk_through(server):
        address = f"ws://127.0.0.1:{server.port}"
        before = await converse(address, talk, None)
        async with websockets.connect(address) as socket:
            with wave.open(str(talk)) as file:
                audio = file.readframes(file.getnframes())
            await socket.send(audio[: len(audio) // 4 * 2])
            answers = [json.loads(await socket.recv())]
            model.write_bytes(bytes(range(256)) * 100)
            os.truncate(model, 0)
            await socket.send(audio[len(audio) // 4 * 2 :])
            answers.append(json.loads(await socket.recv()))
            await socket.send('{"eof" : 1}')
            answers.append(json.loads(await socket.recv()))
        return before, answers, await converse(address, talk, None)

    with serving("--workers", workers, model=model) as server:
        for answers in asyncio.run(talk_through(server)):
            assert " ".join(answer["text"] for answer in results(answers)) == text
        model.unlink()
        assert server.status(get(b"/v1/models")) == 200
        assert server.log() == ""


@pytest.mark.parametrize("ending", [b'{"eof" : 1}', b' {"eof": 1}\n'])
@pytest.mark.parametrize("path", ["", "/vosk"])
def test_a_vosk_client_may_end_in_a_binary_frame(server, talk, text, path, ending):
    answers = asyncio.run(converse(f"ws://127.0.0.1:{server.port}{path}", talk, {}, ending=ending))
    assert " ".join(answer["text"] for answer in results(answers)) == text


def test_our_own_clients_may_send_all_in_binary_frames(recognizer, talk, text, tones):
    audio, rate_hz = s16(talk)

    async def play():
        async with running(tones) as bench, bench.client() as client:
            await client.socket.send_bytes(b'{"type": "start", "sample_rate_hz": %d}' % rate_hz)
            await client.socket.send_bytes(audio)
            await client.socket.send_bytes(b'{"type": "finish"}')
            return await Client(client.socket).rest()

    heard = finals(asyncio.run(play()))
    assert " ".join(final["text"] for final in heard if final["text"]) == text


def test_the_wyoming_port_asks_for_no_token_and_says_so():
    with serving("--host", "0.0.0.0", environment={"HALFBYTE_TOKEN": "secret"}) as server:
        assert server.status(get(b"/health")) == 200
        assert "Wyoming knows no tokens" in server.log()
        assert server.log().count("\n") == 1
