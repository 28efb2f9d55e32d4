"""How many real-time streams a server holds, how late its words come, what a stream costs."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from halfbyte.errors import HalfbyteError
from halfbyte.measure.server_load import RAMP_S, Load, Seen

LATEST_PARTIAL_S = 0.3  # 95 of 100 partials come sooner beyond their chunk
LATEST_FINISH_S = 1.0  # after `finish`; a server that falls behind needs longer
LATEST_MESSAGE_S = 0.2  # a generator that is later than this measures itself
_START_S = 60.0
_KINDS = ("first", "partial", "final")


class BenchError(HalfbyteError):
    """The server or the generator could not be run."""


@dataclass(frozen=True)
class Trial:
    """One run with a number of streams.

    Attributes:
        num_streams: played at once.
        is_held: the server kept up: no errors, 95 of 100 partials within LATEST_PARTIAL_S beyond
            the chunk, the ends of all streams within LATEST_FINISH_S.
        is_generator_behind: the load generator did not keep up; the run says nothing then.
        latency_ms: `KIND_beyond_chunk` and `KIND_server`: [p50, p95]; see Seen.
        finish_ms: [p50, p95, largest], from `finish` to the close.
        server_cores: processor time of the server per second of the run.
        generator_cores: of the generator.
        stream_bytes: memory of the server that each stream adds.
        stages_us: processor microseconds of the server per second of audio: the engine threads'
            stages, and `socket`: everything else.
        errors: of clients, counted.
    """

    num_streams: int
    is_held: bool
    is_generator_behind: bool
    latency_ms: dict[str, list[float]]
    finish_ms: list[float]
    server_cores: float
    generator_cores: float
    stream_bytes: int
    stages_us: dict[str, float]
    errors: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class ServerCommand:
    """How the server under test is started: words after `halfbyte serve`."""

    words: tuple[str, ...] = ()
    environment: dict[str, str] = field(default_factory=dict)


@contextlib.contextmanager
def running_server(command: ServerCommand) -> Iterator[tuple[int, str]]:
    """A server process and its address; told to stop at the end.

    Raises:
        BenchError: it does not start.
    """
    process = subprocess.Popen(
        [sys.executable, "-m", "halfbyte", "serve", "--port", "0", *command.words],
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | command.environment,
    )
    assert process.stdout is not None
    try:
        url = process.stdout.readline().strip()
        if not url:
            raise BenchError("the server did not start; try: halfbyte serve")
        _wait_until_up(url)
        yield process.pid, url
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait()


def _wait_until_up(url: str) -> None:
    deadline_s = time.monotonic() + _START_S
    while time.monotonic() < deadline_s:
        with contextlib.suppress(OSError), urllib.request.urlopen(f"{url}/health") as answer:
            if answer.status == 200:
                return
        time.sleep(0.1)
    raise BenchError(f"the server at {url} did not answer in {_START_S:g} s")


def run_trial(command: ServerCommand, load: Load) -> Trial:
    """Start a server, play to it, look at it while it works, stop it."""
    with running_server(command) as (pid, url):
        idle_bytes = memory_bytes(pid)
        words = [sys.executable, "-m", "halfbyte.measure.server_load"]
        generator = subprocess.Popen(
            words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert generator.stdin is not None
        generator.stdin.write(json.dumps(asdict(load) | {"url": url}))
        generator.stdin.close()
        generator.stdin = None
        time.sleep(RAMP_S + 1.0)
        cpu_s, start_s, before = _cpu_s(pid), time.monotonic(), metrics_of(url)
        time.sleep(max(1.0, load.duration_s - RAMP_S - 2.0))
        cores = (_cpu_s(pid) - cpu_s) / (time.monotonic() - start_s)
        full_bytes, after = memory_bytes(pid), metrics_of(url)
        text, _ = generator.communicate(timeout=load.duration_s + 120)
        if generator.returncode:
            raise BenchError("the load generator failed")
    seen = Seen(**json.loads(text))
    stream_bytes = (full_bytes - idle_bytes) // load.num_streams
    return _trial(load, seen, cores, stream_bytes, _stages_us(before, after))


def _trial(
    load: Load, seen: Seen, cores: float, stream_bytes: int, stages_us: dict[str, float]
) -> Trial:
    latency_ms = {}
    for name, table in (("beyond_chunk", seen.beyond_chunk_s), ("server", seen.server_s)):
        for kind in _KINDS:
            latency_ms[f"{kind}_{name}"] = _ms(table.get(kind, []), 0.5, 0.95)
    p95_ms = latency_ms["partial_beyond_chunk"][1]
    finish_ms = _ms(seen.finish_s, 0.5, 0.95, 1.0)
    is_held = (
        not seen.errors
        and len(seen.finish_s) == load.num_streams
        and p95_ms < 1000 * LATEST_PARTIAL_S
        and finish_ms[2] < 1000 * LATEST_FINISH_S
    )
    return Trial(
        load.num_streams,
        is_held,
        quantile(seen.late_s, 0.95) > LATEST_MESSAGE_S,
        latency_ms,
        finish_ms,
        round(cores, 3),
        round(seen.cpu_s / max(seen.wall_s, 1e-9), 3),
        stream_bytes,
        stages_us,
        seen.errors,
    )


def search(
    command: ServerCommand, load: Load, first: int, show: Any = None, precision: float = 0.06
) -> list[Trial]:
    """Find the highest number of streams that the server holds: double, then halve the gap.

    Args:
        command: the server.
        load: what to play; its number of streams is not used.
        first: streams of the first trial.
        show: called with each trial.
        precision: the gap at which it stops, as a share of what is held.

    Returns:
        All trials; the best one that is held is the answer.
    """
    trials: list[Trial] = []

    def is_held(num_streams: int) -> bool:
        trial = run_trial(command, Load(**(asdict(load) | {"num_streams": num_streams})))
        trials.append(trial)
        if show:
            show(trial)
        return trial.is_held

    low, high = 0, first
    while is_held(high):
        low, high = high, 2 * high
    while high - low > max(1, precision * max(low, 1)) and high > 1:
        middle = (low + high) // 2
        if is_held(middle):
            low = middle
        else:
            high = middle
    return trials


def best(trials: Sequence[Trial]) -> Trial | None:
    """The trial with the most streams that were held."""
    held = [trial for trial in trials if trial.is_held]
    return max(held, key=lambda trial: trial.num_streams, default=None)


def quantile(values: Sequence[float], share: float) -> float:
    """The value that this share of them does not exceed; infinite if there are none."""
    if not values:
        return float("inf")
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]


def _ms(seconds: Sequence[float], *shares: float) -> list[float]:
    return [round(1000 * quantile(seconds, share), 1) for share in shares]


def process_tree(pid: int) -> list[int]:
    """A process and the processes below it."""
    pids = [pid]
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        with contextlib.suppress(OSError):
            for child in task.read_text().split():
                pids += process_tree(int(child))
    return pids


def _cpu_s(pid: int) -> float:
    """Processor time of a process and those below it."""
    ticks = 0
    for process in process_tree(pid):
        with contextlib.suppress(OSError):
            stat = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
            ticks += int(stat[11]) + int(stat[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def memory_bytes(pid: int) -> int:
    """Memory of a process and those below it; what they share counts once."""
    total = 0
    for process in process_tree(pid):
        with contextlib.suppress(OSError):
            for line in Path(f"/proc/{process}/smaps_rollup").read_text().splitlines():
                if line.startswith("Pss:"):
                    total += int(line.split()[1]) * 1024
    return total


def metrics_of(url: str) -> dict[str, float]:
    """Metrics of a server, summed over workers."""
    with urllib.request.urlopen(f"{url}/metrics") as answer:
        lines = answer.read().decode().splitlines()
    numbers: dict[str, float] = {}
    for line in lines:
        if not line.startswith("#"):
            name, _, value = line.rpartition(" ")
            key = name.split("{")[0]
            if 'stage="' in name:
                key += "/" + name.split('stage="')[1].split('"')[0]
            numbers[key] = numbers.get(key, 0.0) + float(value)
    return numbers


def _stages_us(before: dict[str, float], after: dict[str, float]) -> dict[str, float]:
    """Processor microseconds per second of audio, by stage."""
    gained = {name: after[name] - before.get(name, 0.0) for name in after}
    audio_s = max(gained["halfbyte_audio_seconds_total"], 1e-9)
    prefix = "halfbyte_engine_seconds_total/"
    stages = {n.removeprefix(prefix): s for n, s in gained.items() if n.startswith(prefix)}
    stages["socket"] = gained["process_cpu_seconds_total"] - sum(stages.values())
    return {name: round(1e6 * seconds / audio_s, 1) for name, seconds in stages.items()}
