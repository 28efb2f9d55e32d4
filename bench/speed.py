"""Speed and size beside ONNX Runtime and torch, on one thread; lines in bench/results.

    python bench/speed.py --w4a8 w4a8/ --float32 float32/
    python bench/speed.py ... --repeat 20 --trial               its lines go to build/

Each folder holds `result/` (checkpoint), `onnx/` (its export) and `model.hb` (compiled from that).
Every runner first has to give the numbers of the training graph; then it is timed.

chunk  one encoder chunk of 640 ms, left context filled; runners take turns, so that what else the
       machine does meets all of them alike. Cold: the first run of a turn, the caches hold what
       others left (a live stream, with 640 ms between chunks, is like that); warm: the second
file   a file as a stream of 640 ms chunks, samples to rescored text, warm
start  `halfbyte transcribe --stream` on a file of three seconds: process start to first words
size   the base package, installed into a fresh environment (with --install)
"""

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from cold_start import installed_bytes, start_figures
from numpy.typing import NDArray
from origin import RESULTS, ROOT, origin, table
from runners import Runner, open_runners, window_frames

from halfbyte.measure.encoder_models import multiply_adds
from halfbyte.measure.result_lines import append_line
from halfbyte.measure.spread import Spread, time_in_turns
from halfbyte.train.checkpoint import family_of, load_checkpoint

BUILD = ROOT / "build" / "bench"
CHUNK_MS = 640
PEERS = ["onnxruntime float32", "onnxruntime int8", "torch float32"]
LARGEST_FLOAT_DIFFERENCE = 1e-3  # of encoder outputs, which a layer norm makes of order one
Line = dict[str, Any]


def main() -> None:
    """Measure, print tables, append one line."""
    options = parse()
    runners = open_runners(options.w4a8, options.float32, BUILD)
    line: Line = {"chunk_ms": CHUNK_MS}
    line["correctness"] = check(runners)
    line["multiply_adds"] = chunk_multiply_adds(options.float32 / "result", runners[0].metadata)
    line["chunk"] = measure_chunk(runners, options.repeat, line["multiply_adds"]["all"])
    line["file"] = measure_file(runners, options.audio, max(3, options.repeat // 10))
    line["start"] = start_figures(options.w4a8 / "model.hb", BUILD / "start.wav", options.starts)
    print("\nstart\n" + json.dumps(line["start"]))
    if options.install:
        line["installed_bytes"] = installed_bytes(ROOT, BUILD)
    line |= origin()
    append_line(BUILD / "speed-trial.jsonl" if options.trial else RESULTS / "speed.jsonl", line)
    print(json.dumps(line, ensure_ascii=False))


def chunk_multiply_adds(checkpoint: Path, metadata: dict[str, Any]) -> dict[str, int]:
    """Multiply-adds of one chunk with its left context filled: all, and those of linear layers."""
    config, _, model = load_checkpoint(checkpoint)
    frames = window_frames(metadata, CHUNK_MS)
    features = torch.zeros(1, frames, metadata["features"]["num_mel_bins"])
    return multiply_adds(family_of(config).graphs(model)["encoder"], features)


def windows(runner: Runner) -> list[NDArray[np.float32]]:
    """Chunks of seeded features that fill the left context and one more, all different."""
    streaming = runner.metadata["streaming"]
    frames = window_frames(runner.metadata, CHUNK_MS)
    chunk_steps = (frames - streaming["overlap_frames"]) // streaming["subsampling"]
    count = -(-streaming["left_context_steps"] // chunk_steps) + 2
    random = np.random.default_rng(1)
    bins = runner.metadata["features"]["num_mel_bins"]
    return [random.normal(12, 3, (frames, bins)).astype(np.float32) for _ in range(count)]


def check(runners: list[Runner]) -> Line:
    """Largest difference of each runner's encoder output from its training graph.

    Raises:
        SystemExit: a float32 runner is farther away than rounding explains.
    """
    outputs: dict[str, NDArray[np.float32]] = {}
    for runner in runners:
        encoded = list(map(runner.encoder(), windows(runner)))
        outputs[runner.name] = np.concatenate(encoded, axis=1)
    differences = {}
    for runner in runners:
        largest = float(np.abs(outputs[runner.name] - outputs[runner.reference]).max())
        differences[runner.name] = largest
        if runner.name.endswith("float32") and largest > LARGEST_FLOAT_DIFFERENCE:
            raise SystemExit(f"{runner.name} differs from {runner.reference} by {largest:.3g}")
    rows = [[r.name, r.reference, f"{differences[r.name]:.2e}"] for r in runners]
    print("correctness\n" + table(["runner", "against", "largest difference"], rows))
    return differences


def measure_chunk(runners: list[Runner], repeat: int, num_multiply_adds: int) -> Line:
    """Milliseconds of one encoder chunk, and how they compare with the strongest peer's."""
    calls = {r.name: r.chunk_call(windows(r)) for r in runners if r.is_timed}
    times = time_in_turns(calls, range(repeat))
    figures: Line = {}
    for state in ("cold", "warm"):
        spreads: dict[str, Spread] = {name: getattr(time, state) for name, time in times.items()}
        strongest = min((name for name in PEERS), key=lambda name: spreads[name].median)
        figures[state] = {"strongest_peer": strongest}
        rows = []
        for name, spread in spreads.items():
            figures[state][name] = {
                **{f"{key}_ms": round(1e3 * value, 4) for key, value in spread.figures().items()},
                "of_strongest_peer": round(spread.median / spreads[strongest].median, 3),
                "multiply_adds_per_ns": round(num_multiply_adds / spread.median / 1e9, 2),
            }
            rows.append([name, *(f"{value:.3f}" for value in figures[state][name].values())])
        head = [f"chunk of {CHUNK_MS} ms, {state}", "median ms", "MAD", "p95"]
        print("\n" + table([*head, f"of {strongest}", "multiply-adds/ns"], rows))
    return figures


def measure_file(runners: list[Runner], audio: list[Path], repeat: int) -> Line:
    """Real-time factor from samples to rescored text."""
    from halfbyte.data.audio import read_audio

    samples = np.concatenate([read_audio(path, 16000) for path in audio])
    duration_s = len(samples) / 16000
    calls = {r.name: r.file_call(samples, CHUNK_MS) for r in runners if r.is_timed}
    factors: Line = {
        name: {k: round(v / duration_s, 5) for k, v in times.warm.figures().items()}
        for name, times in time_in_turns(calls, range(repeat)).items()
    }
    rows = [[name, *(f"{v:.5f}" for v in factor.values())] for name, factor in factors.items()]
    print("\n" + table([f"{duration_s:.1f} s of audio", "real-time factor", "MAD", "p95"], rows))
    return {"audio_s": round(duration_s, 2), **factors}


def parse() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--w4a8", type=Path, required=True, metavar="DIR")
    parser.add_argument("--float32", type=Path, required=True, metavar="DIR")
    recordings = sorted((ROOT / "tests" / "data").glob("*.wav"))
    parser.add_argument("--audio", type=Path, nargs="+", default=recordings, metavar="WAV")
    parser.add_argument("--repeat", type=int, default=200, help="chunks (%(default)s)")
    parser.add_argument("--starts", type=int, default=10, help="processes (%(default)s)")
    parser.add_argument("--install", action="store_true", help="build and install the package")
    parser.add_argument("--trial", action="store_true", help="keep the line out of bench/results")
    return parser.parse_args()


if __name__ == "__main__":
    main()
