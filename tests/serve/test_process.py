"""Processes: streams over several workers, a worker that dies, a server that is stopped."""

import asyncio
import contextlib
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import aiohttp
import pytest
from serve.clients import SPEECH, Client, finals, s16, stream_finals


@contextlib.contextmanager
def server(*words: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """`halfbyte serve` on a free port, and its address; it must end by itself when told to."""
    process = subprocess.Popen(
        [sys.executable, "-m", "halfbyte", "serve", "--port", "0", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        url = process.stdout.readline().strip()
        assert url.startswith("http://127.0.0.1:"), process.stderr.read()
        yield process, url
    finally:
        process.terminate()
        try:
            _, process.error_text = process.communicate(timeout=20)
        except subprocess.TimeoutExpired:
            process.kill()
            raise
    assert "Traceback" not in process.error_text
    assert "leaked" not in process.error_text


def children(pid: int) -> list[int]:
    """Processes whose parent this is, zombies included."""
    found = []
    for status in Path("/proc").glob("[0-9]*/status"):
        with contextlib.suppress(OSError):
            if f"PPid:\t{pid}\n" in status.read_text():
                found.append(int(status.parent.name))
    return found


def two_workers(pid: int, besides: Sequence[int] = ()) -> list[int]:
    """Wait until a server has two workers, none of them one of these."""
    deadline_s = time.monotonic() + 15
    while True:
        workers = children(pid)
        if len(workers) == 2 and not set(workers) & set(besides):
            return workers
        assert time.monotonic() < deadline_s, workers
        time.sleep(0.05)


async def talk(url: str, path: Path) -> tuple[list[dict], int | None]:
    audio, rate_hz = s16(path)
    async with aiohttp.ClientSession() as http, http.ws_connect(url + "/v1/stream") as socket:
        client = Client(socket)
        await client.start(sample_rate_hz=rate_hz)
        return await client.play(audio), socket.close_code


def test_streams_over_two_workers_give_what_one_stream_gives(recognizer):
    async def all_at_once(url):
        return await asyncio.gather(*[talk(url, path) for path in SPEECH * 4])

    with server("--workers", "2") as (process, url):
        two_workers(process.pid)
        results = asyncio.run(all_at_once(url))
    assert process.returncode == 0
    for path, (events, close_code) in zip(SPEECH * 4, results, strict=True):
        assert finals(events) == stream_finals(recognizer, path)
        assert close_code == 1000


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_server_that_is_stopped_says_what_it_has_heard_and_goodbye(recognizer, workers):
    audio, rate_hz = s16(SPEECH[0])

    async def stop_in_between(process, url):
        async with aiohttp.ClientSession() as http:
            sockets = [await http.ws_connect(url + "/v1/stream") for _ in range(6)]
            clients = [Client(socket) for socket in sockets]
            for client in clients[:-1]:
                await client.start(sample_rate_hz=rate_hz)
                await client.socket.send_bytes(audio)
            await asyncio.sleep(0.5)
            process.terminate()
            events = await asyncio.gather(*[client.rest() for client in clients])
            return events, [socket.close_code for socket in sockets]

    with server("--workers", workers) as (process, url):
        events, close_codes = asyncio.run(stop_in_between(process, url))
    assert process.returncode == 0
    assert close_codes == [1001] * 6
    for stream in events[:-1]:
        assert finals(stream) == stream_finals(recognizer, SPEECH[0])
        assert stream[-1]["code"] == "shutting_down"


def test_a_worker_that_is_killed_is_replaced_and_leaves_no_zombie():
    async def kill_one(process, url):
        async with aiohttp.ClientSession() as http, http.ws_connect(url + "/v1/stream") as socket:
            await Client(socket).start()
            before = two_workers(process.pid)
            for pid in before:
                os.kill(pid, signal.SIGKILL)
            await Client(socket).rest()
            return before, socket.close_code

    with server("--workers", "2") as (process, url):
        before, close_code = asyncio.run(kill_one(process, url))
        assert close_code == 1006  # what a client sees where nobody could say goodbye
        now = two_workers(process.pid, besides=before)
        assert asyncio.run(talk(url, SPEECH[0]))[1] == 1000  # waits in the socket until it is up
        status = [Path(f"/proc/{pid}/status").read_text() for pid in now]
        assert not any(re.search(r"State:\s+Z", text) for text in status)
    assert children(process.pid) == []


def test_workers_end_with_their_parent():
    with server("--workers", "2") as (process, _):
        workers = two_workers(process.pid)
        process.kill()
        process.wait()
        deadline_s = time.monotonic() + 15
        while any(_is_alive(pid) for pid in workers):
            assert time.monotonic() < deadline_s
            time.sleep(0.05)


def _is_alive(pid: int) -> bool:
    try:
        return "State:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False


def test_a_port_in_use_is_said_in_one_line():
    with server() as (_, url):
        port = url.rsplit(":", 1)[1]
        result = subprocess.run(
            [sys.executable, "-m", "halfbyte", "serve", "--port", port],
            capture_output=True,
            text=True,
            check=False,
        )
    assert result.returncode == 2
    assert result.stderr.count("\n") == 1
    assert f"port {port}" in result.stderr
