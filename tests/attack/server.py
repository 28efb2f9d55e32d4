"""Attacks over the sockets of a server, beside a client that behaves."""

import asyncio
import contextlib
import gzip
import json
import random
import socket
import struct
import threading
import time
import wave
from collections.abc import Callable
from pathlib import Path

import websockets
from attack.score import Score, mutated
from serve.raw import UPGRADE, Running, frame, get, post, received, serving

_HANG_S = 20.0
_ATTACKERS = 4
_PATHS = (b"/v1/stream", b"/vosk", b"/wenet", b"/v1/realtime", b"/")
_MESSAGES = (
    b'{"type": "start"}',
    b'{"type": "start", "encoding": "f32le", "sample_rate_hz": 48000, "num_best": 10}',
    b'{"type": "finish"}',
    b'{"config": {"sample_rate": 8000, "max_alternatives": 3}}',
    b'{"eof" : 1}',
    b'{"reset" : 1}',
    b'{"signal": "start", "nbest": 3}',
    b'{"signal": "end"}',
    b'{"type": "input_audio_buffer.append", "audio": "AAAAAAAA"}',
    b'{"type": "input_audio_buffer.commit", "event_id": "\\ud800"}',
    b'{"type": "session.update", "session": {"audio": {"input": {"turn_detection": null}}}}',
    b"[" * 50_000,
    bytes(40_000),
    struct.pack("<f", float("nan")) * 9000,
    b"",
)
_HEADERS = (
    b"Authorization: Bearer \xff",
    b"Origin: http://[",
    b"Content-Encoding: gzip",
    b"Transfer-Encoding: chunked",
    b"Expect: 100-continue",
    b"Upgrade: websocket",
    b"Connection: Upgrade",
    b"Range: bytes=9-1",
    b"Cookie: \xff=;;",
    b"Sec-WebSocket-Protocol: a,b",
    b"Sec-WebSocket-Extensions: permessage-deflate; server_max_window_bits=99",
    b"X: " + b"y" * 9000,
)
_FORM = (
    b'--x\r\nContent-Disposition: form-data; name="response_format"\r\n\r\nverbose_json\r\n'
    b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.wav"\r\n\r\n%b\r\n--x--\r\n'
)
_BOMBS = (
    gzip.compress(bytes(20_000_000)),
    b"\r\n" * 500_000,
    b"--x\r\n\r\n\r\n" * 60_000,
    b"--x\r\n" + b"A: b\r\n" * 20_000,
)
_WYOMING = (
    b'{"type": "describe"}\n',
    b'{"type": "audio-start", "data": {"rate": 16000, "width": 3, "channels": 2}}\n',
    b'{"type": "audio-chunk", "data": {"rate": 16000, "width": 2, "channels": 1}, '
    b'"payload_length": 8}\n12345678',
    b'{"type": "audio-stop"}\n',
    b'{"type": "ping", "data": {"text": "\\ud800"}}\n',
    b'{"type": "x", "data_length": 99999999}\n',
)


def _web_socket(chance: random.Random, talk: bytes) -> bytes:
    """A handshake, then frames: of the protocols, damaged ones, and audio."""
    frames = []
    for _ in range(chance.randrange(12)):
        payload = chance.choice(_MESSAGES)
        if chance.random() < 0.3:
            start = chance.randrange(len(talk))
            payload = talk[start : start + chance.randrange(20_000)]
        frames.append(frame(payload, chance.choice([1, 1, 2, 2, 2, 0, 8, 9, 10, 3])))
        if chance.random() < 0.05:
            frames[-1] = frame(payload, 2, is_masked=False)
    behind = b"".join(frames)
    return UPGRADE % chance.choice(_PATHS) + (mutated(behind, chance) if behind else b"")


def _request(chance: random.Random, _: bytes) -> bytes:
    """A request with odd headers, perhaps damaged."""
    paths = [b"/", b"/health", b"/metrics", b"/v1/models/a", b"/static/x", b"/\xff?token=\xff"]
    sent = get(chance.choice(paths), *chance.sample(_HEADERS, chance.randrange(4)))
    return mutated(sent, chance) if chance.random() < 0.5 else sent


def _upload(chance: random.Random, talk: bytes) -> bytes:
    """A form with a file, damaged, or a bomb."""
    if chance.random() < 0.1:
        return post(chance.choice(_BOMBS), *chance.sample(_HEADERS, 1))
    form = mutated(_FORM % talk[:20_000], chance)
    return post(form, *chance.sample(_HEADERS, chance.randrange(2)))


def _wyoming(chance: random.Random, _: bytes) -> bytes:
    """Events of Wyoming, perhaps damaged."""
    sent = b"".join(chance.choices(_WYOMING, k=chance.randrange(1, 8)))
    return mutated(sent, chance) if chance.random() < 0.7 else sent


_KINDS: tuple[Callable[[random.Random, bytes], bytes], ...] = (
    *(_web_socket, _web_socket, _request, _upload, _wyoming),
)


def attack_server(talk: Path, seconds: float, seed: int) -> Score:
    """Many clients that do not behave, beside one that does; then the server is told to stop."""
    score = Score("server")
    with wave.open(str(talk)) as file:
        audio = file.readframes(file.getnframes())
    try:
        with serving("--workers", "1", "--idle-s", "5") as server:
            expected = asyncio.run(_heard(server, audio))
            until_s = time.monotonic() + seconds
            threads = [
                threading.Thread(target=_attack, args=(server, audio, until_s, seed + i, score))
                for i in range(_ATTACKERS)
            ]
            for thread in threads:
                thread.start()
            _behave(server, audio, expected, until_s, score)
            for thread in threads:
                thread.join()
            if server.process.poll() is not None or "Traceback" in server.log():
                score.note("crashes", server.log()[-2000:])
    except (AssertionError, TimeoutError) as error:  # it did not end, or not well
        score.note("hangs", f"after the attack: {error!r}")
    return score


def _attack(server: Running, talk: bytes, until_s: float, seed: int, score: Score) -> None:
    chance = random.Random(seed)
    while time.monotonic() < until_s and server.process.poll() is None:
        kind = chance.choice(_KINDS)
        sent = kind(chance, talk)
        port = server.wyoming_port if kind is _wyoming else server.port
        answer = _exchanged(port, sent, chance)
        score.inputs += 1
        if answer.startswith(b"HTTP/1.1 500") or b"Traceback" in answer or b'"internal"' in answer:
            score.note("crashes", f"{answer[:300]!r} to {sent[:300]!r}")


def _exchanged(port: int, sent: bytes, chance: random.Random) -> bytes:
    """Send it whole, in pieces, or in part, and read, or leave at once."""
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 10) as client:
        step = chance.choice([len(sent), len(sent), 1000, 37]) or 1
        for start in range(0, min(len(sent), 50 * step), step):
            client.sendall(sent[start : start + step])
        if chance.random() < 0.3:
            return b""
        client.shutdown(socket.SHUT_WR)
        return received(client, quiet_s=0.5)
    return b""


def _behave(server: Running, audio: bytes, expected: str, until_s: float, score: Score) -> None:
    """Transcribe again and again; count what is late or wrong."""
    while time.monotonic() < until_s and server.process.poll() is None:
        try:
            heard = asyncio.run(_heard(server, audio))
        except TimeoutError:
            score.note("hangs", f"no transcript in {_HANG_S} s")
        except (OSError, websockets.WebSocketException) as error:
            score.note("lost", repr(error))
        else:
            if heard != expected:
                score.note("lost", f"{heard!r} instead of {expected!r}")
        time.sleep(0.1)


async def _heard(server: Running, audio: bytes) -> str:
    texts = []
    address = f"ws://127.0.0.1:{server.port}/v1/stream"
    async with asyncio.timeout(_HANG_S), websockets.connect(address, ping_interval=None) as client:
        await client.send('{"type": "start", "partials": false}')
        for start in range(0, len(audio), 6400):
            await client.send(audio[start : start + 6400])
        await client.send('{"type": "finish"}')
        async for message in client:
            event = json.loads(message)
            if event["type"] in ("final", "error"):
                texts.append(event.get("text", event["type"]))
    return " ".join(text for text in texts if text)
