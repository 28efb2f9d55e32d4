"""Soak: clients that behave and clients that do not, for a long time; a line in bench/results.

    python bench/soak_server.py --minutes 30
    python bench/soak_server.py --minutes 1 --trial        its line goes to build/

Those that behave play recordings in real time, again and again; each transcript must be that of
`halfbyte transcribe --stream`. Beside them others connect and say nothing, stall, send garbage,
stop reading, disconnect in the middle of a word and connect again. After each quarter all leave,
and the server's heap is noted: what it holds then, nobody asks for any more. At the end the server
is stopped under load and started again. Ends with status 1 if a transcript differed, a final was
lost, memory grew, or the server complained.
"""

import argparse
import asyncio
import contextlib
import json
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TextIO

import aiohttp
from origin import RESULTS, ROOT, origin

from halfbyte.listen.events import finals
from halfbyte.listen.recognizer import Recognizer
from halfbyte.measure.result_lines import append_line
from halfbyte.measure.server_audio import recordings_of, write_speech
from halfbyte.measure.server_bench import memory_bytes, metrics_of, process_tree

BUILD = ROOT / "build" / "bench"
RATE_HZ = 16000
MESSAGE_BYTES = 3200  # 100 ms
NUM_RECORDINGS = 24
MEMORY_PERIOD_S = 2.0
LARGEST_GROWTH = 0.02  # of resident memory, from the second quarter to the last, and of the heap
NUM_QUARTERS = 4
IDLE_S = "5"  # after which the server ends a stream that sends nothing
GAUGE_S = 1.5  # every worker has written its gauges anew by then
GOODBYES = (1000, 1001)  # what a client may be told when the server is stopped


@dataclass
class Tally:
    """What happened.

    Attributes:
        transcripts: that well-behaved clients got.
        differing: of them, not what a stream on this machine gives: words or a final lost.
        breaks: connections of well-behaved clients that broke.
        misdeeds: of the others, by kind.
        goodbyes: close codes when the server was stopped under load, counted.
        memory_bytes: of the server's processes, every MEMORY_PERIOD_S.
        idle_heap_bytes: in use after each quarter, with nobody connected.
        complaints: tracebacks in the server's output.
        zombies: processes that the stopped server left.
        works_again: a server started on the same port at once gave the right transcript.
    """

    transcripts: int = 0
    differing: int = 0
    breaks: int = 0
    misdeeds: Counter[str] = field(default_factory=Counter)
    goodbyes: Counter[str] = field(default_factory=Counter)
    memory_bytes: list[int] = field(default_factory=list)
    idle_heap_bytes: list[int] = field(default_factory=list)
    complaints: int = 0
    zombies: int = 0
    works_again: bool = False

    @property
    def growth(self) -> float:
        """Of memory, from the second quarter of the run (the first warms up) to the last."""
        quarter = max(1, len(self.memory_bytes) // 4)
        before = self.memory_bytes[quarter : 2 * quarter] or self.memory_bytes
        after = self.memory_bytes[-quarter:]
        return sum(after) / len(after) / (sum(before) / len(before)) - 1

    @property
    def heap_growth(self) -> float:
        """Of what nobody asks for any more, from the first quarter to the last."""
        first, *_, last = self.idle_heap_bytes
        return last / max(1, first) - 1

    @property
    def is_clean(self) -> bool:
        """Whether everything was as it should be."""
        wrong_goodbyes = set(self.goodbyes) - {str(code) for code in GOODBYES}
        faults = self.differing + self.breaks + self.complaints + self.zombies
        growth = max(self.growth, self.heap_growth)
        return not faults and self.works_again and not wrong_goodbyes and growth <= LARGEST_GROWTH


@dataclass(frozen=True)
class Recording:
    """Samples and what must come of them."""

    audio: bytes
    texts: list[str]


class Soak:
    """All clients of one run."""

    def __init__(self, url: str, recordings: list[Recording], tally: Tally):
        self.url = url
        self.recordings = recordings
        self.tally = tally
        self.end_s = 0.0
        self.random = random.Random(1)

    @property
    def is_over(self) -> bool:
        """Whether no client should begin anew."""
        return time.monotonic() > self.end_s

    async def well_behaved(self, http: aiohttp.ClientSession) -> None:
        """Plays recordings until the end, each in a stream of its own."""
        while not self.is_over:
            recording = self.random.choice(self.recordings)
            try:
                texts, close_code = await self.play(http, recording)
            except (aiohttp.ClientError, ConnectionError, TimeoutError):
                self.tally.breaks += 1
                continue
            self.tally.transcripts += 1
            self.tally.differing += texts != recording.texts or close_code != 1000

    async def play(
        self, http: aiohttp.ClientSession, recording: Recording
    ) -> tuple[list[str], int | None]:
        """Play a recording; texts of the finals, and the close code."""
        async with http.ws_connect(f"{self.url}/v1/stream") as socket:
            await socket.send_json({"type": "start", "sample_rate_hz": RATE_HZ})
            hear = asyncio.create_task(_hear(socket))
            start_s = time.monotonic()
            with contextlib.suppress(ConnectionError):  # the close code says why
                for at in range(0, len(recording.audio), MESSAGE_BYTES):
                    await socket.send_bytes(recording.audio[at : at + MESSAGE_BYTES])
                    due_s = start_s + (at + MESSAGE_BYTES) / 2 / RATE_HZ
                    await asyncio.sleep(max(0.0, due_s - time.monotonic()))
                await socket.send_json({"type": "finish"})
            return await asyncio.wait_for(hear, 60), socket.close_code

    async def misbehaving(self, http: aiohttp.ClientSession) -> None:
        """Does one bad thing after the other until the end."""
        deeds = (
            *(self._says_nothing, self._stalls, self._sends_garbage, self._never_reads),
            *(self._leaves_mid_word, self._sends_too_much, self._speaks_no_http),
        )
        while not self.is_over:
            deed = self.random.choice(deeds)
            with contextlib.suppress(
                aiohttp.ClientError, ConnectionError, TimeoutError, asyncio.IncompleteReadError
            ):
                await asyncio.wait_for(deed(http), 20)
            self.tally.misdeeds[deed.__name__.strip("_")] += 1

    async def _says_nothing(self, http: aiohttp.ClientSession) -> None:
        async with http.ws_connect(f"{self.url}/v1/stream"):
            await asyncio.sleep(self.random.random() * 5)

    async def _stalls(self, http: aiohttp.ClientSession) -> None:
        async with http.ws_connect(f"{self.url}/v1/stream") as socket:
            await socket.send_json({"type": "start", "sample_rate_hz": RATE_HZ})
            await socket.send_bytes(self.recordings[0].audio[:16000])
            await asyncio.sleep(self.random.random() * 10)

    async def _sends_garbage(self, http: aiohttp.ClientSession) -> None:
        async with http.ws_connect(f"{self.url}/v1/stream") as socket:
            if self.random.random() < 0.5:
                await socket.send_json({"type": "start"})
            for _ in range(self.random.randrange(1, 20)):
                noise = self.random.randbytes(self.random.randrange(5000))
                if self.random.random() < 0.2:
                    await socket.send_str(noise.decode("latin-1"))
                else:
                    await socket.send_bytes(noise)

    async def _never_reads(self, http: aiohttp.ClientSession) -> None:
        reader, writer = await _upgraded(self.url)
        reader._transport.pause_reading()  # type: ignore[attr-defined]
        for _ in range(50):
            writer.write(_masked_frame(1, b'{"type": "nonsense"}'))
            await writer.drain()
            await asyncio.sleep(0.05)
        writer.transport.abort()

    async def _leaves_mid_word(self, http: aiohttp.ClientSession) -> None:
        recording = self.random.choice(self.recordings)
        _, writer = await _upgraded(self.url)
        writer.write(_masked_frame(1, b'{"type": "start"}'))
        for at in range(0, len(recording.audio) // 2, MESSAGE_BYTES):
            writer.write(_masked_frame(2, recording.audio[at : at + MESSAGE_BYTES]))
        await writer.drain()
        await asyncio.sleep(self.random.random())
        writer.transport.abort()

    async def _sends_too_much(self, http: aiohttp.ClientSession) -> None:
        async with http.ws_connect(f"{self.url}/v1/stream") as socket:
            await socket.send_json({"type": "start"})
            await socket.send_bytes(bytes(2 << 20))
            await socket.receive()

    async def _speaks_no_http(self, http: aiohttp.ClientSession) -> None:
        host, port = _address(self.url)
        _, writer = await asyncio.open_connection(host, port)
        writer.write(self.random.randbytes(200))
        await writer.drain()
        writer.close()

    async def watch(self, pid: int) -> None:
        """Notes the server's memory."""
        while not self.is_over:
            self.tally.memory_bytes.append(memory_bytes(pid))
            await asyncio.sleep(MEMORY_PERIOD_S)

    async def stop_under_load(self, server: "Server", num_clients: int) -> None:
        """Stop the server while clients speak; what are they told, what is left of it?"""
        async with aiohttp.ClientSession() as http:
            plays = [
                asyncio.create_task(self.play(http, self.recordings[i % len(self.recordings)]))
                for i in range(num_clients)
            ]
            await asyncio.sleep(1.0)
            processes = process_tree(server.process.pid)
            server.process.terminate()
            await asyncio.to_thread(server.process.wait)
            for result in await asyncio.gather(*plays, return_exceptions=True):
                broke = isinstance(result, BaseException)
                code = type(result).__name__ if broke else str(result[1])  # type: ignore[index]
                self.tally.goodbyes[code] += 1
        self.tally.zombies += sum(Path(f"/proc/{pid}").exists() for pid in processes)


class Server:
    """`halfbyte serve` with its complaints in a file."""

    def __init__(self, workers: int, port: int, log: TextIO):
        words = ["--workers", str(workers), "--port", str(port), "--idle-s", IDLE_S]
        self.process = subprocess.Popen(
            [sys.executable, "-m", "halfbyte", "serve", *words],
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )
        assert self.process.stdout is not None
        self.url = self.process.stdout.readline().strip()


async def _hear(socket: aiohttp.ClientWebSocketResponse) -> list[str]:
    """Texts of all finals."""
    texts = []
    async for message in socket:
        event = json.loads(message.data)
        if event["type"] == "final":
            texts.append(event["text"])
    return texts


def _address(url: str) -> tuple[str, int]:
    host, _, port = url.removeprefix("http://").rpartition(":")
    return host, int(port)


async def _upgraded(url: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A bare connection, upgraded to a WebSocket."""
    reader, writer = await asyncio.open_connection(*_address(url))
    writer.write(
        b"GET /v1/stream HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n"
        b"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
        b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
    )
    await reader.readuntil(b"\r\n\r\n")
    return reader, writer


def _masked_frame(opcode: int, payload: bytes) -> bytes:
    """A WebSocket frame of a client, under the mask 0."""
    size = len(payload)
    if size < 126:
        head = bytes([0x80 | opcode, 0x80 | size])
    else:
        head = bytes([0x80 | opcode, 0x80 | 126]) + size.to_bytes(2, "big")
    return head + bytes(4) + payload


def read_recordings(paths: list[Path]) -> list[Recording]:
    """Recordings as s16le, and the finals of a stream on this machine."""
    from array import array

    recognizer = Recognizer()
    recordings = []
    step = max(1, len(paths) // NUM_RECORDINGS)
    with tempfile.TemporaryDirectory() as folder:
        for path in paths[::step][:NUM_RECORDINGS]:
            write_speech(Path(folder) / "s16", [path])
            audio = (Path(folder) / "s16").read_bytes()
            stream = recognizer.stream()
            samples = array("f", (code / 32768 for code in array("h", audio)))
            events = stream.accept(samples) + stream.finish()
            recordings.append(Recording(audio, [e.text for e in finals(events)]))
    return recordings


async def run(options: argparse.Namespace, recordings: list[Recording]) -> Tally:
    """The soak, then the stop under load."""
    tally = Tally()
    with tempfile.TemporaryFile("w+") as log:
        server = Server(options.workers, 0, log)
        try:
            await soak(server, options, recordings, tally)
            server = Server(options.workers, _address(server.url)[1], log)
            again = Soak(server.url, recordings, Tally())
            async with aiohttp.ClientSession() as http:
                texts, _ = await again.play(http, recordings[0])
            tally.works_again = texts == recordings[0].texts
        finally:
            server.process.terminate()
            server.process.wait()
        log.seek(0)
        tally.complaints += log.read().count("Traceback")
    return tally


async def soak(
    server: Server, options: argparse.Namespace, recordings: list[Recording], tally: Tally
) -> None:
    """Clients for so many minutes, then the server is stopped under them."""
    clients = Soak(server.url, recordings, tally)
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as http:
        for _ in range(NUM_QUARTERS):
            clients.end_s = time.monotonic() + 60 * options.minutes / NUM_QUARTERS
            await asyncio.gather(
                clients.watch(server.process.pid),
                *(clients.well_behaved(http) for _ in range(options.clients)),
                *(clients.misbehaving(http) for _ in range(options.misbehaving)),
            )
            tally.idle_heap_bytes.append(await _idle_heap_bytes(server.url))
    await clients.stop_under_load(server, options.clients)


async def _idle_heap_bytes(url: str) -> int:
    """The server's heap in use, once the last stream has ended and every worker has noted it."""
    num_streams = 1.0
    while num_streams:
        await asyncio.sleep(GAUGE_S)
        num_streams = (await asyncio.to_thread(metrics_of, url))["halfbyte_streams"]
    await asyncio.sleep(GAUGE_S)
    return int((await asyncio.to_thread(metrics_of, url))["halfbyte_heap_used_bytes"])


def main() -> None:
    """Soak, print, append one line."""
    options = parse()
    recordings = read_recordings(recordings_of(options.audio))
    tally = asyncio.run(run(options, recordings))
    figures: dict[str, Any] = vars(tally) | {"growth": round(tally.growth, 4)}
    megabytes = [round(num_bytes / 1e6, 1) for num_bytes in tally.memory_bytes]
    step = max(1, len(megabytes) // 30)
    figures["memory_mb"] = megabytes[::step]
    figures["heap_growth"] = round(tally.heap_growth, 4)
    figures["idle_heap_mb"] = [round(size / 1e6, 2) for size in tally.idle_heap_bytes]
    del figures["memory_bytes"], figures["idle_heap_bytes"]
    for name, value in figures.items():
        print(f"{name:14} {dict(value) if isinstance(value, Counter) else value}")
    given = {"minutes": options.minutes, "clients": options.clients}
    given |= {"misbehaving": options.misbehaving, "workers": options.workers}
    line = given | {"is_clean": tally.is_clean} | figures | origin()
    append_line(BUILD / "soak-trial.jsonl" if options.trial else RESULTS / "soak.jsonl", line)
    print(json.dumps(line))
    if not tally.is_clean:
        raise SystemExit(1)


def parse() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--minutes", type=float, default=30.0, help="how long (%(default)s)")
    parser.add_argument("--clients", type=int, default=40, help="well-behaved (%(default)s)")
    parser.add_argument("--misbehaving", type=int, default=40, help="others (%(default)s)")
    parser.add_argument("--workers", type=int, default=2, help="of the server (%(default)s)")
    parser.add_argument("--audio", type=Path, nargs="+", default=[], metavar="WAV")
    parser.add_argument("--trial", action="store_true", help="keep the line out of bench/results")
    return parser.parse_args()


if __name__ == "__main__":
    main()
