"""A load generator: many clients of one server, each playing speech in real time.

A process of its own, so that what it costs is known: `python -m halfbyte.measure.server_load`
reads a `Load` as JSON from standard input and writes what it saw as JSON to standard output.
"""

import asyncio
import gc
import json
import math
import random
import resource
import sys
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import aiohttp

SAMPLE_RATE_HZ = 16000
SAMPLE_BYTES = 2
RAMP_S = 3.0  # over which the clients connect
_CLOSE_WAIT_S = 30.0


@dataclass(frozen=True)
class Load:
    """What to play.

    Attributes:
        url: of the server, `http://127.0.0.1:8765`.
        audio: file of s16le samples at 16 kHz; each client begins somewhere and goes round.
        num_streams: clients at once.
        duration_s: audio that each of them sends.
        message_ms: audio in one message.
        warm_up_s: events of the first seconds are not counted.
        start: further settings of the `start` message.
    """

    url: str
    audio: str
    num_streams: int
    duration_s: float = 20.0
    message_ms: int = 100
    warm_up_s: float = 6.0
    start: dict[str, Any] = field(default_factory=dict)


@dataclass
class Seen:
    """What the clients saw.

    Attributes:
        beyond_chunk_s: per kind of event (`first`, `partial`, `final`), seconds from the moment
            when the last sound that the event covers was due in real time to the event's arrival:
            the model's look-ahead and the waiting for a message to fill are inside.
        server_s: the same, from the sending of the message that completed the chunk.
        finish_s: from `finish` to the close of the connection.
        late_s: by how much the last message of each client was sent too late.
        errors: what went wrong, counted.
        cpu_s: processor time of the generator while it played, over `wall_s`.
    """

    beyond_chunk_s: dict[str, list[float]] = field(default_factory=dict)
    server_s: dict[str, list[float]] = field(default_factory=dict)
    finish_s: list[float] = field(default_factory=list)
    late_s: list[float] = field(default_factory=list)
    errors: dict[str, int] = field(default_factory=dict)
    cpu_s: float = 0.0
    wall_s: float = 0.0

    def add_error(self, what: str) -> None:
        """Count something that went wrong."""
        self.errors[what] = self.errors.get(what, 0) + 1


class _Client:
    """One stream, in real time."""

    def __init__(self, load: Load, audio: bytes, seen: Seen, number: int):
        self._load = load
        self._audio = audio
        self._seen = seen
        self._random = random.Random(number)
        self._sent_s: list[float] = []  # when each message left
        self._begin_s = 0.0
        self._finished_s = 0.0
        self._lookahead_s = 0.0
        self._has_words = False

    async def run(self, http: aiohttp.ClientSession) -> None:
        """From connecting to the server's goodbye."""
        await asyncio.sleep(self._random.random() * RAMP_S)
        try:
            async with http.ws_connect(f"{self._load.url}/v1/stream") as socket:
                start = {"type": "start", "sample_rate_hz": SAMPLE_RATE_HZ, **self._load.start}
                await socket.send_json(start)
                ready = await socket.receive_json(timeout=_CLOSE_WAIT_S)
                if ready["type"] != "ready":
                    return self._seen.add_error(ready["code"])
                self._lookahead_s = ready["lookahead_ms"] / 1000
                self._begin_s = time.monotonic()
                hear = asyncio.create_task(self._hear(socket))
                await self._play(socket)
                self._finished_s = time.monotonic()
                await socket.send_json({"type": "finish"})
                await asyncio.wait_for(hear, _CLOSE_WAIT_S)
                self._seen.finish_s.append(time.monotonic() - self._finished_s)
                if socket.close_code != 1000:
                    self._seen.add_error(f"closed with {socket.close_code}")
        except (aiohttp.ClientError, ConnectionError, TimeoutError) as error:
            self._seen.add_error(type(error).__name__)

    async def _play(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        message_s = self._load.message_ms / 1000
        message_bytes = SAMPLE_RATE_HZ * self._load.message_ms // 1000 * SAMPLE_BYTES
        at = self._random.randrange(len(self._audio) // message_bytes) * message_bytes
        num_messages = math.ceil(self._load.duration_s / message_s)
        for number in range(1, num_messages + 1):
            due_s = self._begin_s + number * message_s  # its last sample is spoken now
            delay_s = due_s - time.monotonic()
            if delay_s > 0:
                await asyncio.sleep(delay_s)
            message = self._audio[at : at + message_bytes]
            at = at + message_bytes if len(message) == message_bytes else 0
            self._sent_s.append(time.monotonic())
            await socket.send_bytes(message if at else self._audio[:message_bytes])
        self._seen.late_s.append(self._sent_s[-1] - due_s)

    async def _hear(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        async for message in socket:
            event = json.loads(message.data)
            if event["type"] == "error":
                self._seen.add_error(event["code"])
            elif event["type"] in ("partial", "final"):
                self._note(event, time.monotonic())

    def _note(self, event: dict[str, Any], now_s: float) -> None:
        kind, end_s = event["type"], event["end_s"]
        is_first = kind == "partial" and not self._has_words
        self._has_words = kind == "partial"
        completing = math.ceil((end_s + self._lookahead_s) * 1000 / self._load.message_ms - 1e-6)
        if end_s < self._load.warm_up_s or self._finished_s or completing > len(self._sent_s):
            return
        for key in [kind, "first"] if is_first else [kind]:
            beyond_s = now_s - (self._begin_s + end_s)
            self._seen.beyond_chunk_s.setdefault(key, []).append(beyond_s)
            server_s = now_s - self._sent_s[completing - 1]
            self._seen.server_s.setdefault(key, []).append(server_s)


async def play(load: Load) -> Seen:
    """Play to the end."""
    audio = Path(load.audio).read_bytes()
    seen = Seen()
    connector = aiohttp.TCPConnector(limit=0)
    cpu_s, wall_s = time.process_time(), time.monotonic()
    async with aiohttp.ClientSession(connector=connector) as http:
        clients = [_Client(load, audio, seen, number) for number in range(load.num_streams)]
        await asyncio.gather(*(client.run(http) for client in clients))
    seen.cpu_s = time.process_time() - cpu_s
    seen.wall_s = time.monotonic() - wall_s
    return seen


def main() -> None:
    """Read a load, play it, write what was seen."""
    _, most_files = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most_files, most_files))
    gc.disable()  # a collection over all clients would show as their latency
    load = Load(**json.load(sys.stdin))
    json.dump(asdict(asyncio.run(play(load))), sys.stdout)


if __name__ == "__main__":
    main()
