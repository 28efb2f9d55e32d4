"""Health and metrics."""

import asyncio
import ctypes
import re

from serve.clients import SPEECH, running, s16

from halfbyte.serve.app_keys import SERVER
from halfbyte.serve.metrics import Metrics, SharedNumbers

LINE = re.compile(r'^[a-z_]+(\{([a-z_]+="[^"]*",?)*\})? [-+0-9.einf]+$')


def numbers(text: str) -> dict[str, float]:
    return {
        name: float(value)
        for name, value in (line.rsplit(" ", 1) for line in text.splitlines() if line[0] != "#")
    }


def test_a_stream_is_counted(recognizer):
    audio, rate_hz = s16(max(SPEECH, key=lambda path: path.stat().st_size))

    async def talk():
        async with running(recognizer) as bench:
            async with bench.client() as client:
                await client.start(sample_rate_hz=rate_hz)
                events = await client.play(audio)
            async with bench.client() as client:
                await client.send(type="nonsense")
                await client.rest()
            async with bench.http.get(bench.server.make_url("/metrics")) as answer:
                assert answer.headers["Content-Type"].startswith("text/plain; version=0.0.4")
                return await answer.text(), events

    text, events = asyncio.run(talk())
    assert all(LINE.match(line) for line in text.splitlines() if line[0] != "#")
    found = numbers(text)
    assert found['halfbyte_streams{worker="0"}'] == 0
    assert found['halfbyte_streams_total{worker="0"}'] == 1
    assert found['halfbyte_refused_total{worker="0"}'] == 1
    assert abs(found['halfbyte_audio_seconds_total{worker="0"}'] - len(audio) / 2 / rate_hz) < 1e-6
    for kind in ("partial", "final"):
        count = sum(event["type"] == kind for event in events)
        assert found[f'halfbyte_latency_seconds_count{{worker="0",event="{kind}"}}'] == count
    assert found['halfbyte_latency_seconds_count{worker="0",event="first_word"}'] >= 1
    assert found['process_resident_memory_bytes{worker="0"}'] > 10e6
    heap_bytes = found['halfbyte_heap_used_bytes{worker="0"}']
    assert heap_bytes > 1e6 if hasattr(ctypes.CDLL(None), "mallinfo2") else heap_bytes == 0


def test_every_worker_shows_the_numbers_of_all():
    shared = SharedNumbers(2)
    first, second = Metrics(shared, 0), Metrics(shared, 1)
    first.add("halfbyte_streams_total", 3)
    second.put("halfbyte_streams", 2)
    assert first.text() == second.text()
    second.clear_gauges()
    found = numbers(first.text())
    assert found['halfbyte_streams_total{worker="0"}'] == 3
    assert found['halfbyte_streams{worker="1"}'] == 0


def test_latencies_fall_into_buckets():
    metrics = Metrics()
    for seconds in (0.005, 0.15, 0.15, 99):
        metrics.observe_latency("partial", seconds)
    found = numbers(metrics.text())
    labels = 'worker="0",event="partial"'
    assert found[f'halfbyte_latency_seconds_bucket{{{labels},le="0.01"}}'] == 1
    assert found[f'halfbyte_latency_seconds_bucket{{{labels},le="0.2"}}'] == 3
    assert found[f'halfbyte_latency_seconds_bucket{{{labels},le="+Inf"}}'] == 4
    assert found[f"halfbyte_latency_seconds_count{{{labels}}}"] == 4


def test_health_says_when_the_server_stops(recognizer):
    async def talk():
        async with running(recognizer) as bench:
            url = bench.server.make_url("/health")
            async with bench.http.get(url) as answer:
                assert (answer.status, (await answer.json())["status"]) == (200, "ok")
            await bench.server.app[SERVER].drain()
            async with bench.http.get(url) as answer:
                assert (answer.status, (await answer.json())["status"]) == (503, "stopping")

    asyncio.run(talk())
