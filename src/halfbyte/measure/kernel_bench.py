"""One linear layer in every kernel and in other runtimes: correctness, time, share of the peaks.

Layers are measured warm (the same weights again and again, which stay in the caches) by one call
at a time on one pinned thread; runtimes take turns, so that what else the machine does meets all
alike. The clock is the processor time of the process, which leaves out what other processes take.
Of each runtime that is called from Python the time of a call that computes nothing is taken off,
of our kernels that of reading the clock. Our 4-bit kernel is also measured cold: more weights than
the last cache holds, in turn.
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
from halfbyte.measure.cpu import machine
from halfbyte.measure.peers.layer import Peer, open_peers, quiet
from halfbyte.measure.spread import WARM_UP, Spread, percent, ratio, shown, time_in_turns
from halfbyte.ops import linear
from halfbyte.quant.codecs import uniform as packing

SHAPES = [(256, 1024), (512, 2048), (1024, 1024)]  # inputs, outputs
ROWS = [1, 2, 3, 4, 8, 16, 32, 64, 128, 256]
FORMATS = [(4, 8), (8, 8), (4, 4), (1, 8), (2, 8), (3, 8), (5, 8), (6, 8)]
COLD_BYTES = 96 << 20  # more than the last cache of the processors we met
PIECE_BYTES = 1 << 20
COMPARED = {  # names of runtimes begin so
    "the fastest other": "",
    "onnxruntime int8": "onnxruntime int8",
    "onnxruntime 4 bits": "onnxruntime int4",
}
PEAK_ROUNDS = 20000
FloatArray = NDArray[np.float32]


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
        expected = linear.reference(
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


def peak_multiply_adds_per_s(isa: str) -> float:
    """The most that the instruction behind the 4-bit kernel does on registers; 0: not known."""
    trials: list[float] = [
        _core.measure.multiply_adds_per_second(PEAK_ROUNDS, isa) for _ in range(20)
    ]
    return max(trials)


def read_bytes_per_s() -> float:
    """Reading memory in pieces, none of them twice: what one in ten pieces exceeds."""
    memory = np.ones(COLD_BYTES, np.uint8)
    pieces = range(0, COLD_BYTES, PIECE_BYTES)
    speeds = [_core.measure.bytes_read_per_second(memory[at : at + PIECE_BYTES]) for at in pieces]
    return statistics.quantiles(speeds, n=10)[-1]


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
    line: dict[str, Any] = {"isa": isa, "machine": machine(), "load": os.getloadavg()[0]}
    line |= {"peak_macs_per_s": peak, "read_bytes_per_s": read, "absent": {}, "rows": []}
    for k, n in shapes:
        peers, line["absent"] = open_peers(k, n) if with_peers else ([], {})
        layers = [make_layer(bits, act, isa, k, n) for bits, act in FORMATS]
        measured = [_row(layers, peers, m, repeat, peak, read) for m in rows]
        line["rows"] += measured
        say(shape_table(measured, layers[0].name))
    for runtime, why in line["absent"].items():
        say(f"{runtime} is not measured: {why}")
    return line


def _row(
    layers: list[Layer], peers: list[Peer], m: int, repeat: int, peak: float, read: float
) -> dict[str, Any]:
    """All figures of one shape at one number of rows; layers[0] is what shares are told of."""
    ours, (n, k) = layers[0], layers[0].codes.shape
    with quiet():
        figures = _measure(layers, peers, m, k, repeat)
    cold = _cold(ours, m, k, repeat)
    peak_us = 1e6 * k * n * m / peak if peak else 0.0  # and 0: no peak is known
    read_s = packing.packed_size(n, k, ours.bits) / read
    return {
        "inputs": k,
        "outputs": n,
        "rows": m,
        "us": figures,
        "cold_us": {ours.name: _figures(cold)},
        "share_of_peak": ratio(peak_us, figures[ours.name]["median"], 3),
        "share_of_bandwidth": ratio(read_s, cold.median, 3),
    }


def _measure(
    layers: list[Layer], peers: list[Peer], m: int, k: int, repeat: int
) -> dict[str, dict[str, float]]:
    x = np.random.default_rng(m).standard_normal((m, k)).astype(np.float32)
    figures = {
        layer.name: _figures(Spread(layer.seconds(x, repeat + WARM_UP, 1))) for layer in layers
    }
    calls = {peer.name: peer.prepare(x) for peer in peers}
    empty = {_empty(peer.name): peer.empty() for peer in peers}  # in turns too: both meet the same
    times = time_in_turns(calls | empty, range(repeat), time.process_time)
    for name in calls:
        nothing_s = times[_empty(name)].warm.median
        figures[name] = _figures(times[name].warm, nothing_s)
        figures[name]["call"] = round(1e6 * nothing_s, 2)
    return figures


def _empty(name: str) -> str:
    return f"{name}, a call of nothing"


def _cold(layer: Layer, m: int, k: int, repeat: int) -> Spread:
    x = np.random.default_rng(m).standard_normal((m, k)).astype(np.float32)
    copies = COLD_BYTES // packing.packed_size(len(layer.codes), k, layer.bits)
    return Spread(layer.seconds(x, max(copies, repeat) + WARM_UP, copies))


def _figures(spread: Spread, taken_off_s: float = 0.0) -> dict[str, float]:
    median_s = max(0.0, spread.median - taken_off_s)
    return {"median": round(1e6 * median_s, 2), "mad": round(1e6 * spread.mad, 2)}


def shape_table(rows: list[dict[str, Any]], ours: str) -> str:
    """Microseconds of every kernel and runtime by number of rows, then what they say of ours."""
    counts = [row["rows"] for row in rows]
    title = f"{rows[0]['inputs']} → {rows[0]['outputs']}, µs a call"
    lines = [_cells(title, [f"{count} rows" for count in counts])]
    for name in sorted(rows[0]["us"], key=lambda name: rows[-1]["us"][name]["median"]):
        lines.append(_cells(name, [f"{row['us'][name]['median']:.1f}" for row in rows]))
    lines += [
        _cells("", [""] * len(rows)),
        _cells("spread of ours (MAD), µs", [f"{row['us'][ours]['mad']:.2f}" for row in rows]),
        _cells("share of peak, %", [percent(row["share_of_peak"]) for row in rows]),
        _cells("cold, µs", [f"{row['cold_us'][ours]['median']:.1f}" for row in rows]),
        _cells("share of bandwidth, %", [percent(row["share_of_bandwidth"]) for row in rows]),
    ]
    for label, prefix in COMPARED.items():
        lines += _ratio_line(rows, ours, label, prefix)
    return "\n".join(lines) + "\n"


def _ratio_line(rows: list[dict[str, Any]], ours: str, label: str, prefix: str) -> list[str]:
    """How many times as fast as the fastest runtime of that name ours is."""
    cells = []
    for row in rows:
        others = [
            figure["median"]
            for name, figure in row["us"].items()
            if not name.startswith("linear_") and name.startswith(prefix)
        ]
        if not others:
            return []
        cells.append(shown(ratio(min(others), row["us"][ours]["median"]), ".2f") + "×")
    return [_cells(f"faster than {label}", cells)]


def _cells(head: str, cells: list[str]) -> str:
    return f"{head:32}" + "".join(f"{cell:>10}" for cell in cells)
