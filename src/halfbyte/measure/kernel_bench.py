"""One linear layer in every kernel and in other runtimes: correctness, time, share of the peaks.

Layers are measured warm (the same weights again and again, which stay in the caches) by one call
at a time on one pinned thread; runtimes take turns, so that what else the machine does meets all
alike. Of each runtime that is called from Python the time of a call that computes nothing is taken
off. Our 4-bit kernel is also measured cold: more weights than the last cache holds, in turn.
"""

import os
import statistics
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from halfbyte import _core
from halfbyte.errors import HalfbyteError
from halfbyte.measure.kernel_peers import Call, Peer, open_peers
from halfbyte.quant import packing, reference

SHAPES = [(256, 1024), (512, 2048), (1024, 1024)]  # inputs, outputs
ROWS = [1, 2, 3, 4, 8, 16, 32, 64, 128, 256]
FORMATS = [(4, 8), (8, 8), (4, 4), (1, 8), (2, 8), (3, 8), (5, 8), (6, 8)]
COLD_BYTES = 96 << 20  # more than the last cache of the processors we met
PIECE_BYTES = 1 << 20
PEAK_ROUNDS = 20000
WARM_UP = 3
FloatArray = NDArray[np.float32]


@dataclass(frozen=True)
class Times:
    """Seconds of repeated calls."""

    median_s: float
    mad_s: float

    @classmethod
    def of(cls, seconds: list[float]) -> "Times":
        median = statistics.median(seconds)
        return cls(median, statistics.median(abs(s - median) for s in seconds))


@dataclass(frozen=True)
class Layer:
    """Random weights of one shape, and one kernel for them."""

    name: str
    bits: int
    act_bits: int
    isa: str
    codes: NDArray[np.int8]  # (N, K)
    scales: FloatArray  # (N,)
    bias: FloatArray  # (N,)

    def seconds(self, x: FloatArray, calls: int, copies: int) -> list[float]:
        """Time calls, each with the next of so many copies of the weights."""
        packed = packing.pack(self.codes, self.bits)
        memory = np.empty(copies * packed.size + 64, np.uint8)
        first = -memory.ctypes.data % 64
        weights = memory[first : first + copies * packed.size].reshape(copies, -1)
        weights[:] = packed
        out = np.empty((len(x), len(self.codes)), np.float32)
        seconds: list[float] = _core.measure.time_linear(
            x, weights, self.bits, self.act_bits, self.scales, self.bias, out, calls, self.isa
        )
        self._check(x, out)
        return seconds[WARM_UP:]

    def _check(self, x: FloatArray, out: FloatArray) -> None:
        rows = slice(0, 2)  # numpy's integer product is slow
        expected = reference.linear(
            x[rows],
            self.codes,
            self.scales.astype(np.float16),  # exact: made from float16
            self.bias.astype(np.float16),
            act_bits=self.act_bits,
        )
        if not np.array_equal(out[rows], expected):
            raise HalfbyteError(f"{self.name} does not give the bits of the numpy reference")


def make_layer(bits: int, act_bits: int, isa: str, k: int, n: int) -> Layer:
    """A seeded layer."""
    random = np.random.default_rng(bits)
    edge = max(1, 2 ** (bits - 1) - 1)
    codes = random.integers(-edge, edge + 1, (n, k)).astype(np.int8)
    codes = np.where(codes < 0, -1, 1).astype(np.int8) if bits == 1 else codes
    scales = random.uniform(0.01, 0.02, n).astype(np.float16).astype(np.float32)
    bias = random.standard_normal(n).astype(np.float16).astype(np.float32)
    return Layer(f"linear_w{bits}a{act_bits}_{isa}", bits, act_bits, isa, codes, scales, bias)


def pin() -> int | None:
    """Keep this process on its last processor; returns which, None where systems cannot."""
    if not hasattr(os, "sched_setaffinity"):
        return None
    processor = max(os.sched_getaffinity(0))
    os.sched_setaffinity(0, {processor})
    return processor


def peak_multiply_adds_per_s(isa: str) -> float:
    """The most that the instruction behind the 4-bit kernel does on registers; 0: not known."""
    trials: list[float] = [
        _core.measure.multiply_adds_per_second(PEAK_ROUNDS, isa) for _ in range(20)
    ]
    return max(trials)


def read_bytes_per_s() -> float:
    """Median of reading memory in pieces, none of them twice."""
    memory = np.ones(COLD_BYTES, np.uint8)
    pieces = range(0, COLD_BYTES, PIECE_BYTES)
    return statistics.median(
        _core.measure.bytes_read_per_second(memory[at : at + PIECE_BYTES]) for at in pieces
    )


def bench_kernels(
    shapes: Iterable[tuple[int, int]],
    rows: Iterable[int],
    isa: str,
    repeat: int,
    with_peers: bool,
    say: Callable[[str], None],
) -> dict[str, Any]:
    """Measure; `say` takes each line of the tables. Returns the figures for the JSON line.

    Raises:
        HalfbyteError: a kernel does not give the bits of the reference.
    """
    peak, read = peak_multiply_adds_per_s(isa), read_bytes_per_s()
    say(f"{isa}: peak {peak / 1e9:.0f} billion multiply-adds/s, reads {read / 1e9:.1f} GB/s")
    line: dict[str, Any] = {"isa": isa, "peak_macs_per_s": peak, "read_bytes_per_s": read}
    line["rows"] = []
    for k, n in shapes:
        peers = open_peers(k, n) if with_peers else []
        layers = [make_layer(bits, act, isa, k, n) for bits, act in FORMATS]
        for m in rows:
            figures = _measure(layers, peers, m, k, repeat)
            cold = _cold(layers[0], m, k, repeat)
            row: dict[str, Any] = {"inputs": k, "outputs": n, "rows": m, "us": figures}
            row["cold_us"] = {layers[0].name: _figures(cold)}
            per_s = 1e6 * k * n * m / figures[layers[0].name]["median"]
            row["share_of_peak"] = round(per_s / peak, 3) if peak else 0.0
            row["share_of_bandwidth"] = round(
                packing.packed_size(n, k, layers[0].bits) / cold.median_s / read, 3
            )
            line["rows"].append(row)
            say(_row_text(row, layers[0].name))
    return line


def _measure(
    layers: list[Layer], peers: list[Peer], m: int, k: int, repeat: int
) -> dict[str, dict[str, float]]:
    x = np.random.default_rng(m).standard_normal((m, k)).astype(np.float32)
    figures = {
        layer.name: _figures(Times.of(layer.seconds(x, repeat + WARM_UP, 1))) for layer in layers
    }
    calls = {peer.name: peer.prepare(x) for peer in peers}
    empty = {peer.name: peer.empty() for peer in peers}
    for name, seconds in _time_in_turns(calls, repeat).items():
        nothing = Times.of(_time_in_turns({name: empty[name]}, repeat)[name]).median_s
        times = Times.of(seconds)
        figures[name] = _figures(Times(max(0.0, times.median_s - nothing), times.mad_s))
        figures[name]["call"] = round(1e6 * nothing, 2)
    return figures


def _cold(layer: Layer, m: int, k: int, repeat: int) -> Times:
    x = np.random.default_rng(m).standard_normal((m, k)).astype(np.float32)
    copies = COLD_BYTES // packing.packed_size(len(layer.codes), k, layer.bits)
    return Times.of(layer.seconds(x, max(copies, repeat) + WARM_UP, copies))


def _time_in_turns(calls: dict[str, Call], repeat: int) -> dict[str, list[float]]:
    """In each turn a call runs twice, and the second, warm, counts."""
    seconds: dict[str, list[float]] = {name: [] for name in calls}
    for turn in range(repeat + WARM_UP):
        for name, call in calls.items():
            call()
            start_s = time.perf_counter()
            call()
            if turn >= WARM_UP:
                seconds[name].append(time.perf_counter() - start_s)
    return seconds


def _figures(times: Times) -> dict[str, float]:
    return {"median": round(1e6 * times.median_s, 2), "mad": round(1e6 * times.mad_s, 2)}


def _row_text(row: dict[str, Any], ours: str) -> str:
    times = {name: figure["median"] for name, figure in row["us"].items()}
    others = [
        f"{name} {us:.1f} ({us / times[ours]:.2f}×)"
        for name, us in times.items()
        if not name.startswith("linear_")
    ]
    return (
        f"{row['inputs']:5d} → {row['outputs']:4d} {row['rows']:4d} rows: {ours} "
        f"{times[ours]:.1f} µs, {100 * row['share_of_peak']:.0f} % of peak; cold "
        f"{row['cold_us'][ours]['median']:.1f} µs, {100 * row['share_of_bandwidth']:.0f} % of "
        f"bandwidth; {', '.join(others)}"
    )
