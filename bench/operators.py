"""Where the time of a chunk goes, operator by operator; one line in bench/results.

    python bench/operators.py en-voice.hb
    python bench/operators.py en-voice.hb --chunk-ms 320 --nodes 20

Medians over runs: a node's time is that of its typical run, whatever else the machine does. With
--graph decoder: rescoring of ten hypotheses over six seconds.
"""

import argparse
import json
import random
import statistics
from array import array
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from origin import RESULTS, origin, table

from halfbyte.engine import ModelFile, Session, State
from halfbyte.measure.result_lines import append_line

HYPOTHESES, TOKENS, STEPS = 10, 30, 75
WARM_UP = 10
Inputs = Mapping[str, Any]


def main() -> None:
    """Time every node and print a table of operators."""
    options = parse()
    file = ModelFile(options.model)
    session = Session(file, options.graph)
    state = State(file, options.graph) if options.graph == "encoder" else None
    inputs = {"encoder": features, "decoder": hypotheses}[options.graph](file, options.chunk_ms)
    nodes = node_times_us(session, inputs, state, options.repeat)
    line = {
        "model": file.metadata["name"],
        "file": options.model.name,
        "graph": options.graph,
        "chunk_ms": options.chunk_ms,
        "microseconds": round(sum(nodes.values()), 1),
        "operators": by_operator(nodes),
        **origin(),
    }
    rows = [
        [name, str(row["nodes"]), f"{row['microseconds']:.1f}", f"{100 * row['share']:.1f}"]
        for name, row in line["operators"].items()
    ]
    total = ["all", str(len(nodes)), f"{line['microseconds']:.1f}", "100.0"]
    print(table(["operator", "nodes", "µs", "%"], [*rows, total]))
    slowest = sorted(nodes.items(), key=lambda item: -item[1])[: options.nodes]
    if slowest:
        print("\n" + table(["node", "µs"], [[" ".join(n), f"{us:.1f}"] for n, us in slowest]))
    if not options.trial:
        append_line(RESULTS / "operators.jsonl", line)
    print(json.dumps(line))


def node_times_us(
    session: Session, inputs: Inputs, state: State | None, repeat: int
) -> dict[tuple[str, str], float]:
    """Median microseconds of each node, by operator and name."""
    for _ in range(WARM_UP):
        session.run(inputs, state)
    times: dict[tuple[str, str], list[int]] = {}
    for _ in range(repeat):
        session.start_profile()
        session.run(inputs, state)
        for op, name, nanoseconds in session.profile():
            times.setdefault((op, name), []).append(nanoseconds)
    return {node: statistics.median(ns) / 1e3 for node, ns in times.items()}


def by_operator(nodes: Mapping[tuple[str, str], float]) -> dict[str, dict[str, float]]:
    """Number of nodes, microseconds and share of each operator, slowest first."""
    sums: dict[str, list[float]] = {}
    for (op, _), microseconds in nodes.items():
        sums.setdefault(op, []).append(microseconds)
    total = sum(nodes.values())
    ordered = sorted(sums.items(), key=lambda item: -sum(item[1]))
    return {
        op: {
            "nodes": len(us),
            "microseconds": round(sum(us), 1),
            "share": round(sum(us) / total, 4),
        }
        for op, us in ordered
    }


def features(file: ModelFile, chunk_ms: int) -> Inputs:
    """One window of seeded features."""
    frames = chunk_ms // file.metadata["features"]["frame_shift_ms"]
    frames += file.metadata["streaming"]["overlap_frames"]
    return {"features": normal((1, frames, file.metadata["features"]["num_mel_bins"]), 12, 3)}


def hypotheses(file: ModelFile, _: int) -> Inputs:
    """Token rows and a seeded memory."""
    sos = file.metadata["sos_id"]
    tokens = array("q", [sos] + [1] * (TOKENS - 1)) * HYPOTHESES
    width = next(i for i in file.inputs("decoder") if i.name == "memory").axes[-1]
    rows = memoryview(tokens).cast("B").cast("q", [HYPOTHESES, TOKENS])
    return {"tokens": rows, "memory": normal((1, STEPS, int(width)), 0, 1)}


def normal(shape: tuple[int, ...], mean: float, deviation: float) -> Any:
    """Normally distributed float32 numbers."""
    chance = random.Random(1)
    count = 1
    for size in shape:
        count *= size
    numbers = array("f", (chance.gauss(mean, deviation) for _ in range(count)))
    return memoryview(numbers).cast("B").cast("f", list(shape))


def parse() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("model", type=Path, metavar="M.hb")
    parser.add_argument("--graph", choices=["encoder", "decoder"], default="encoder")
    parser.add_argument("--chunk-ms", type=int, default=640, metavar="N")
    parser.add_argument("--repeat", type=int, default=100, help="runs (%(default)s)")
    parser.add_argument("--nodes", type=int, default=0, help="show so many of the slowest nodes")
    parser.add_argument("--trial", action="store_true", help="keep the line out of bench/results")
    return parser.parse_args()


if __name__ == "__main__":
    main()
