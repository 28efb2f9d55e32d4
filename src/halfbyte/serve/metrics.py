"""Numbers for Prometheus, shared by all worker processes.

Every worker writes a row of its own in memory that all share, so any of them can show all rows.
Only the worker's event loop writes.

Not by `prometheus_client` (0.26): between processes it has no numbers of a worker but gauges',
none of the process itself, and needs a folder that is set before the import.
"""

import mmap
from collections.abc import Iterator
from dataclasses import dataclass

BUCKETS_S = (0.01, 0.025, 0.05, 0.1, 0.2, 0.3, 0.5, 1.0, 2.0, 5.0)
STAGES = ("features", "encoder", "search", "other")
LATENCIES = ("first_word", "partial", "final")

_NUMBERS = (
    ("halfbyte_streams", "gauge", "Streams that run."),
    ("halfbyte_streams_total", "counter", "Streams that were started."),
    (
        "halfbyte_refused_total",
        "counter",
        "Streams that were refused or broken off.",
    ),
    ("halfbyte_audio_seconds_total", "counter", "Audio that was recognised."),
    ("halfbyte_steps_total", "counter", "Times that a stream was on an engine thread."),
    ("halfbyte_batches_total", "counter", "Batches of such streams."),
    ("halfbyte_queue_streams", "gauge", "Streams whose audio waits for an engine thread."),
    (
        "halfbyte_real_time_factor",
        "gauge",
        "Time of engine threads per second of audio, of late; times streams / threads: load.",
    ),
    ("process_resident_memory_bytes", "gauge", "Memory of the process."),
    (
        "halfbyte_heap_used_bytes",
        "gauge",
        "Memory that the C library has handed out; 0 where it does not say.",
    ),
    ("process_cpu_seconds_total", "counter", "Processor time of the process."),
)
_ENGINE = "halfbyte_engine_seconds_total"
_LATENCY = "halfbyte_latency_seconds"
_HISTOGRAM_SLOTS = len(BUCKETS_S) + 2  # every bucket and the infinite one, then the sum


@dataclass(frozen=True)
class _Layout:
    """Where each number is in a row."""

    slots: dict[str, int]
    num_slots: int


def _lay_out() -> _Layout:
    names = [name for name, _, _ in _NUMBERS] + [f"{_ENGINE}/{stage}" for stage in STAGES]
    slots = {name: i for i, name in enumerate(names)}
    num_slots = len(names)
    for kind in LATENCIES:
        slots[f"{_LATENCY}/{kind}"] = num_slots
        num_slots += _HISTOGRAM_SLOTS
    return _Layout(slots, num_slots)


_LAYOUT = _lay_out()


class SharedNumbers:
    """Memory for the rows of all workers; made before they are forked."""

    def __init__(self, num_workers: int):
        self.num_workers = num_workers
        self._memory = mmap.mmap(-1, 8 * _LAYOUT.num_slots * num_workers)
        self._numbers = memoryview(self._memory).cast("d")

    def row(self, worker: int) -> "memoryview[float]":
        """Numbers of a worker."""
        start = worker * _LAYOUT.num_slots
        return self._numbers[start : start + _LAYOUT.num_slots]


class Metrics:
    """What one worker has done.

    Args:
        shared: of all workers; None for a process that is alone.
        worker: its number.
    """

    def __init__(self, shared: SharedNumbers | None = None, worker: int = 0):
        self._shared = shared or SharedNumbers(1)
        self._row = self._shared.row(worker)

    def clear_gauges(self) -> None:
        """What a worker before this one was doing, it does no more."""
        for name, kind, _ in _NUMBERS:
            if kind == "gauge":
                self.put(name, 0.0)

    def add(self, name: str, amount: float = 1.0) -> None:
        """Count up."""
        self._row[_LAYOUT.slots[name]] += amount

    def put(self, name: str, value: float) -> None:
        """Set a gauge."""
        self._row[_LAYOUT.slots[name]] = value

    def get(self, name: str) -> float:
        """This worker's number."""
        return float(self._row[_LAYOUT.slots[name]])

    def add_engine_seconds(self, stage: str, seconds: float) -> None:
        """Time that engine threads spent on a stage."""
        self.add(f"{_ENGINE}/{stage}", seconds)

    def engine_seconds(self) -> float:
        """Over all stages."""
        return sum(self.get(f"{_ENGINE}/{stage}") for stage in STAGES)

    def observe_latency(self, kind: str, seconds: float) -> None:
        """From the last sample of a chunk to the event that it gave."""
        slot = _LAYOUT.slots[f"{_LATENCY}/{kind}"]
        bucket = next((i for i, edge in enumerate(BUCKETS_S) if seconds <= edge), len(BUCKETS_S))
        self._row[slot + bucket] += 1
        self._row[slot + len(BUCKETS_S) + 1] += seconds

    def text(self) -> str:
        """All workers' numbers in the Prometheus text format, version 0.0.4."""
        lines: list[str] = []
        for name, kind, meaning in _NUMBERS:
            lines += _head(name, kind, meaning)
            lines += [f"{name}{{{labels}}} {row[_LAYOUT.slots[name]]:.10g}" for labels, row in self]
        lines += _head(_ENGINE, "counter", "Processor time of engine threads.")
        for labels, row in self:
            lines += [
                f'{_ENGINE}{{{labels},stage="{stage}"}} '
                f"{row[_LAYOUT.slots[f'{_ENGINE}/{stage}']]:.10g}"
                for stage in STAGES
            ]
        lines += _head(_LATENCY, "histogram", "From the last sample of a chunk to its event.")
        for labels, row in self:
            for kind in LATENCIES:
                lines += _histogram(f'{labels},event="{kind}"', row, f"{_LATENCY}/{kind}")
        return "\n".join(lines) + "\n"

    def __iter__(self) -> Iterator[tuple[str, "memoryview[float]"]]:
        for worker in range(self._shared.num_workers):
            yield f'worker="{worker}"', self._shared.row(worker)


def _head(name: str, kind: str, meaning: str) -> list[str]:
    return [f"# HELP {name} {meaning}", f"# TYPE {name} {kind}"]


def _histogram(labels: str, row: "memoryview[float]", name: str) -> list[str]:
    slot = _LAYOUT.slots[name]
    lines = []
    count = 0.0
    for i, edge in enumerate([*BUCKETS_S, "+Inf"]):
        count += row[slot + i]
        lines.append(f'{_LATENCY}_bucket{{{labels},le="{edge}"}} {count:.10g}')
    total = row[slot + len(BUCKETS_S) + 1]
    return [
        *lines,
        f"{_LATENCY}_sum{{{labels}}} {total:.10g}",
        f"{_LATENCY}_count{{{labels}}} {count:.10g}",
    ]
