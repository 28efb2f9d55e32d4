"""`halfbyte bench encoder`: one encoder of production size, the engine beside its peers.

Everything is made here from the same seeded weights: the engine's file by our own export and
compile, the peers' by their own tools. First every runner must give the numbers of its reference;
then runners take turns, so that what else the machine does meets all alike. The clock is the CPU
time of the process, pinned to one processor: on a quiet machine that is the wall clock, on a busy
one it leaves others out.
"""

import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from itertools import cycle
from pathlib import Path
from typing import Any

import numpy as np
import torch

from halfbyte import _core
from halfbyte.families.registry import family_to_benchmark
from halfbyte.measure.cpu import machine, pin
from halfbyte.measure.encoder_file import energy_figures, file_figures
from halfbyte.measure.encoder_models import (
    LEFT_CONTEXT_STEPS,
    NUM_BINS,
    Shape,
    Subject,
    multiply_adds,
    num_parameters,
    random_subject,
    write_models,
    write_peers,
)
from halfbyte.measure.encoder_runners import Step, engine_step, onnx_runtime_step, torch_step
from halfbyte.measure.peers.encoder import open_encoders
from halfbyte.measure.peers.layer import quiet
from halfbyte.measure.spread import ratio, shown, time_in_turns
from halfbyte.progress import progress_bar

LARGEST_FLOAT_DIFFERENCE = 1e-3  # of outputs that a layer norm makes of order one
OURS, OURS_FLOAT = "halfbyte w4a8", "halfbyte float32"
NOT_TIMED = "onnxruntime w4a8"  # our own graph, operator by operator: what ours is checked against
LONG_MS = 2000  # calls of more audio than this are repeated less, and have no left context
LONG_SHARE = 8
PEERS = ("all", "torch", "none")
Line = dict[str, Any]


def bench_encoder(
    folder: Path,
    shapes: list[Shape],
    repeat: int,
    isa: str | None,
    threads: int,
    peers: str,
    show: Callable[[str], object],
) -> Line:
    """Measures all shapes and the file itself.

    Args:
        folder: where the models are, or are put.
        shapes: calls to measure.
        repeat: times of each runner.
        isa: of the engine; None for the best.
        threads: of the engine.
        peers: which others run, too: a key of PEERS.
        show: takes each table as it is ready.

    Returns:
        One line of results.

    Raises:
        SystemExit: a float32 runner is farther from torch than rounding explains.
    """
    if threads == 1:
        pin()
    torch.set_num_threads(1)
    family = family_to_benchmark()
    print(f"models in {folder}: made once, which takes minutes", file=sys.stderr, flush=True)
    write_models(family, folder)
    subject = random_subject(family)
    assert family.production is not None
    line: Line = {"model": family.production.title, "parameters": num_parameters(subject)}
    line |= {"machine": machine(), "isa": isa or os.environ.get("HALFBYTE_ISA") or best_isa()}
    line |= {"threads": threads, "clock": "process CPU time", "load": os.getloadavg()[0]}
    line |= {"absent": {}, "rows": []}
    for number, shape in enumerate(shapes, 1):
        label = f"chunks of {shape.chunk_ms} ms, shape {number} of {len(shapes)}"
        print(f"{label}: opening the runtimes", file=sys.stderr, flush=True)
        steps, line["absent"] = runners(folder, subject, shape, isa, threads, peers)
        row: Line = {"chunk_ms": shape.chunk_ms, "left_context_steps": shape.left_context_steps}
        row["multiply_adds"] = multiply_adds(
            subject.spec, subject.features(shape), subject.states(shape)
        )["all"]
        row["differences"] = check(steps, chunks(subject, shape))
        is_long = shape.chunk_ms > LONG_MS
        calls = max(1, repeat // LONG_SHARE) if is_long else repeat
        row["times"] = measure(steps, chunks(subject, shape), calls, label)
        row["energy"] = energy_figures(row["multiply_adds"], folder / "w4a8.hb", shape)
        line["rows"].append(row)
        show(row_table(row))
    line["file"] = file_figures(folder / "w4a8.hb", subject, shapes[0], line["isa"])
    show(json.dumps(line["file"]))
    for runtime, why in line["absent"].items():
        show(f"{runtime} is not measured: {why}")
    return line


def chunks(subject: Subject, shape: Shape) -> list[np.ndarray[Any, np.dtype[np.float32]]]:
    """Seeded features, enough to fill the left context and one more."""
    random = np.random.default_rng(1)
    steps = shape.chunk_ms // 10 // subject.frames_per_step
    count = -(-shape.left_context_steps // steps) + 1
    size = (1, subject.num_frames(shape), NUM_BINS)
    return [random.normal(12.0, 3.0, size).astype(np.float32) for _ in range(count)]


def runners(
    folder: Path, subject: Subject, shape: Shape, isa: str | None, threads: int, peers: str
) -> tuple[dict[str, Step], dict[str, str]]:
    """All runners of one shape, the first the reference of the float32 ones; what is left out."""
    steps = {
        "torch float32": torch_step(subject, shape, is_int8=False),
        OURS: engine_step(folder / "w4a8.hb", shape, isa, threads),
        OURS_FLOAT: engine_step(folder / "float32.hb", shape, isa, threads),
    }
    if peers == "none":
        return steps, {}
    with quiet():  # torch.ao is to move to another package
        steps["torch int8"] = torch_step(subject, shape, is_int8=True)
    if peers == "torch":
        return steps, {}
    paths = write_peers(folder, subject, shape)
    for name, form in (
        ("w4a8", "w4a8"),
        ("float32", "float32"),
        ("int8", "int8"),
        ("4-bit", "4bit"),
    ):
        steps[f"onnxruntime {name}"] = onnx_runtime_step(paths[form], subject, shape)
    others, absent = open_encoders(paths["float32"].parent, subject, shape)
    return steps | others, absent


def check(steps: dict[str, Step], features: list[Any]) -> dict[str, float]:
    """Largest difference of each runner's output over a stream, from torch float32.

    The engine's W4A8 is compared with ONNX Runtime running the same W4A8 graph, if that runs.
    """
    outputs = {
        name: np.concatenate([step(chunk).ravel().copy() for chunk in features])
        for name, step in steps.items()
    }
    differences = {}
    for name, output in outputs.items():
        same_graph = name == OURS and NOT_TIMED in outputs
        reference = outputs[NOT_TIMED if same_graph else "torch float32"]
        differences[name] = float(np.abs(output - reference).max())
        if name.endswith("float32") and differences[name] > LARGEST_FLOAT_DIFFERENCE:
            raise SystemExit(f"{name} differs from torch float32 by {differences[name]:.3g}")
    return differences


def measure(
    steps: dict[str, Step], features: list[Any], repeat: int, label: str
) -> dict[str, Line]:
    """Milliseconds of one call whose weights are in the caches: median, its MAD, the fastest."""
    timed = {
        name: partial(_next_chunk, step, cycle(features))
        for name, step in steps.items()
        if name != NOT_TIMED
    }
    figures: dict[str, Line] = {}
    turns = progress_bar(range(repeat), label)
    for name, times in time_in_turns(timed, turns, time.process_time).items():
        warm = times.warm
        figures[name] = {
            "median_ms": round(1e3 * warm.median, 3),
            "mad_ms": round(1e3 * warm.mad, 3),
            "min_ms": round(1e3 * min(warm.seconds), 3),
        }
    for name in timed:
        figures[name]["of_ours"] = ratio(figures[name]["median_ms"], figures[OURS]["median_ms"])
    return figures


def _next_chunk(step: Step, chunks: Iterator[Any]) -> object:
    return step(next(chunks))


def row_table(row: Line) -> str:
    """A table for people."""
    title = f"chunk {row['chunk_ms']} ms, left context {row['left_context_steps']} steps"
    lines = [f"{title:42}  median ms    MAD    min  of ours  difference"]
    for name, figure in sorted(row["times"].items(), key=lambda item: item[1]["median_ms"]):
        of_ours = shown(figure["of_ours"], ".2f")
        lines.append(
            f"{name:42}  {figure['median_ms']:9.3f}  {figure['mad_ms']:5.3f}  "
            f"{figure['min_ms']:5.2f}  {of_ours:>7}  {row['differences'][name]:10.1e}"
        )
    millions = row["multiply_adds"] / 1e6
    speed = shown(ratio(millions, row["times"][OURS]["median_ms"]), ".0f")
    lines.append(f"{millions:.0f} million multiply-adds; ours {speed} a ns")
    lines.append(
        "a second of audio: {multiply_adds_per_audio_s:.3g} multiply-adds, "
        "{bytes_per_audio_s:.3g} bytes of weights".format(**row["energy"])
    )
    return "\n".join(lines) + "\n"


def shapes_of(chunks_ms: list[int] | None) -> list[Shape]:
    """The chunks asked for, or 640 and 320 ms and ten seconds at once; longer than two seconds
    means without left context."""
    return [
        Shape(chunk_ms, LEFT_CONTEXT_STEPS if chunk_ms <= LONG_MS else 0)
        for chunk_ms in chunks_ms or [640, 320, 10000]
    ]


def best_isa() -> str:
    """The instruction set that the engine takes by itself."""
    return str(_core.kernels.isas()[-1])
