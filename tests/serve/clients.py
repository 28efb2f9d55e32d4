"""A server on the loop of the test, and a client of its native protocol."""

import array
import asyncio
import contextlib
import json
import socket
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp import web
from aiohttp.test_utils import TestServer

from halfbyte import Recognizer, StreamOptions, _core
from halfbyte import finals as finals_of
from halfbyte.audio_file import AudioFile
from halfbyte.serve.app import make_app
from halfbyte.serve.app_keys import SERVER
from halfbyte.serve.door import Door
from halfbyte.serve.session import Session, Step
from halfbyte.serve.wyoming import wyoming_server

SPEECH = sorted((Path(__file__).parents[1] / "data").glob("*.wav"))


def s16(path: Path) -> tuple[bytes, int]:
    """A recording as s16le and its rate; our recordings are 16-bit, so nothing is lost."""
    file = AudioFile(path)
    codes = array.array("h", (round(x * 32768) for block in file for x in block))
    return codes.tobytes(), file.sample_rate_hz


def stream_finals(recognizer: Recognizer, path: Path, **settings: Any) -> list[dict[str, Any]]:
    """What `halfbyte transcribe --stream` finds: text and words of the finals."""
    file = AudioFile(path)
    stream = recognizer.stream(StreamOptions(sample_rate_hz=file.sample_rate_hz, **settings))
    events = [event for block in file for event in stream.accept(block)] + stream.finish()
    return [
        {
            "text": event.text,
            "words": [vars(word) for word in event.words],
            "start_s": event.start_s,
            "end_s": event.end_s,
        }
        for event in finals_of(events)
    ]


def pieces(audio: bytes, num_bytes: int) -> Iterator[bytes]:
    for start in range(0, len(audio), num_bytes):
        yield audio[start : start + num_bytes]


def step(session: Session) -> Step:
    """What an engine thread does with a session."""
    work = session.work()
    return session.step(work, _core.listen.run_steps([work])[0])


class Client:
    """A connection that speaks the native protocol."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse):
        self.socket = socket

    async def send(self, **message: Any) -> None:
        await self.socket.send_str(json.dumps(message))

    async def start(self, **settings: Any) -> dict[str, Any]:
        await self.send(type="start", **settings)
        return await self.receive()

    async def receive(self) -> dict[str, Any]:
        message = await self.socket.receive(timeout=10)
        assert message.type is aiohttp.WSMsgType.TEXT, message
        return json.loads(message.data)

    async def rest(self) -> list[dict[str, Any]]:
        """All events until the server closes."""
        events = []
        while True:
            message = await self.socket.receive(timeout=20)
            if message.type is not aiohttp.WSMsgType.TEXT:
                return events
            events.append(json.loads(message.data))

    async def play(self, audio: bytes, piece_bytes: int = 3200) -> list[dict[str, Any]]:
        """Send audio in pieces, finish, and gather what comes."""
        gather = asyncio.ensure_future(self.rest())
        for piece in pieces(audio, piece_bytes):
            await self.socket.send_bytes(piece)
        await self.send(type="finish")
        return await gather


class TestBench:
    """A running server and ways to reach it."""

    __test__ = False

    def __init__(self, server: TestServer, http: aiohttp.ClientSession):
        self.server = server
        self.http = http

    def get(self, path: str) -> Any:
        return self.http.get(self.server.make_url(path))

    @contextlib.asynccontextmanager
    async def client(self, **options: Any) -> AsyncIterator[Client]:
        url = self.server.make_url("/v1/stream")
        async with self.http.ws_connect(url, **options) as socket:
            yield Client(socket)


@contextlib.asynccontextmanager
async def running(app: web.Application | Recognizer, **options: Any) -> AsyncIterator[TestBench]:
    """A server of this application, or of the usual one for a recogniser."""
    if isinstance(app, Recognizer):
        app = make_app(app, **options)
    async with TestServer(app) as server, aiohttp.ClientSession() as http:
        yield TestBench(server, http)


def finals(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Finals without their type, as `stream_finals` gives them."""
    return [
        {key: value for key, value in event.items() if key != "type"}
        for event in events
        if event["type"] == "final"
    ]


@contextlib.asynccontextmanager
async def wyoming(app):
    """A connection to a Wyoming server of this application."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        port = listener.getsockname()[1]
        async with wyoming_server(app[SERVER], listener, Door(100, 10.0)):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            yield reader, writer
            writer.close()
