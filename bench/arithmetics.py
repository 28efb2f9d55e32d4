"""Speed of an integer-only model beside a dynamic one of its shape; one line in bench/results.

    python bench/arithmetics.py integer.hb en-voice.hb
    python bench/arithmetics.py integer.hb en-voice.hb --repeat 20 --trial
    python bench/arithmetics.py ... --manifest test.jsonl ...      and how many words are wrong

One encoder chunk with its left context filled, on one thread, on every instruction set of this CPU.
The two take turns, so that what else the machine does meets both alike; the ratio is of medians.
"""

import argparse
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from operators import features
from origin import ROOT, origin, table

from halfbyte import _core
from halfbyte.engine import ModelFile, Session, State
from halfbyte.measure.result_lines import append_line
from halfbyte.measure.spread import time_in_turns

RESULTS = ROOT / "bench" / "results" / "arithmetics.jsonl"
TRIAL = ROOT / "build" / "bench" / "arithmetics-trial.jsonl"
FILL = 12  # chunks before the first that is timed


def main() -> None:
    """Time both, print a table, append a line."""
    options = parse()
    files = {"integer": ModelFile(options.integer), "dynamic": ModelFile(options.dynamic)}
    check(files)
    line: dict[str, Any] = {
        "models": {name: file.metadata["name"] for name, file in files.items()},
        "chunk_ms": options.chunk_ms,
        "isas": {},
    }
    rows = []
    for isa in _core.kernels.isas():
        calls = {name: chunk_call(file, isa, options.chunk_ms) for name, file in files.items()}
        times = time_in_turns(calls, range(options.repeat))
        medians_us = {name: round(1e6 * t.warm.median, 1) for name, t in times.items()}
        ratio = round(medians_us["integer"] / medians_us["dynamic"], 3)
        line["isas"][isa] = {**{f"{n}_us": us for n, us in medians_us.items()}, "ratio": ratio}
        rows.append([isa, *(f"{us:.1f}" for us in medians_us.values()), f"{ratio:.3f}"])
    sets = {name_of(manifest): [manifest] for manifest in options.manifest}
    if len(sets) > 1:
        sets["all"] = options.manifest
    line["greedy_wer"] = {
        split: {n: error_rate(f.path, manifests, options.chunk_ms) for n, f in files.items()}
        for split, manifests in sets.items()
    }
    print(table(["instructions", "integer-only, µs", "dynamic, µs", "ratio"], rows))
    line |= origin()
    append_line(TRIAL if options.trial else RESULTS, line)
    print(json.dumps(line))


def check(files: dict[str, ModelFile]) -> None:
    """Whether they are what they are said to be, and of one shape.

    Raises:
        SystemExit: they are not.
    """
    if files["integer"].audit().floating:
        raise SystemExit(f"{files['integer'].path} is not integer-only; see halfbyte info --audit")
    shapes = [sorted(layer_shapes(file)) for file in files.values()]
    if shapes[0] != shapes[1]:
        raise SystemExit("the two have different layers; compare models of one configuration")


def layer_shapes(file: ModelFile) -> list[int]:
    """Number of weights by input width, of the encoder's quantised layers but the CTC head.

    Layers over one input lie joined in a dynamic file, so outputs are added up.
    """
    weights: dict[int, int] = {}
    for layer in file.layers("encoder"):
        if "Linear" in layer.op and ".layers." in layer.name:
            outputs, inputs = layer.shape
            weights[inputs] = weights.get(inputs, 0) + outputs * inputs
    return list(weights.values())


def chunk_call(file: ModelFile, isa: str, chunk_ms: int) -> Any:
    """A call that runs one chunk of a stream."""
    session, state = Session(file, "encoder", isa=isa), State(file, "encoder")
    inputs = features(file, chunk_ms)
    for _ in range(FILL):
        session.run(inputs, state)
    return lambda: session.run(inputs, state)


def name_of(manifest: Path) -> str:
    """CORPUS/SPLIT."""
    return "/".join(manifest.parts[-2:]).removesuffix(".jsonl")


def error_rate(model: Path, manifests: list[Path], chunk_ms: int) -> float:
    """Share of words wrong by greedy search, whose every number is of the encoder."""
    command = [sys.executable, "-m", "halfbyte", "eval", str(model), *map(str, manifests)]
    command += ["--mode", "greedy", "--chunk-ms", str(chunk_ms), "--json"]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return float(json.loads(done.stdout)["wer"])


def parse() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("integer", type=Path, metavar="INTEGER.hb")
    parser.add_argument("dynamic", type=Path, metavar="DYNAMIC.hb")
    parser.add_argument("--chunk-ms", type=int, default=640, metavar="N")
    parser.add_argument(
        "--manifest",
        type=Path,
        nargs="+",
        default=[],
        metavar="M.jsonl",
        help="recordings with text",
    )
    parser.add_argument("--repeat", type=int, default=100, help="turns (%(default)s)")
    parser.add_argument("--trial", action="store_true", help="keep the line out of bench/results")
    options = parser.parse_args()
    for manifest in options.manifest:
        if not manifest.is_file():
            parser.error(f"no manifest at {manifest}")
    if len(set(map(name_of, options.manifest))) < len(options.manifest):
        parser.error("two manifests of one name, CORPUS/SPLIT; give each once")
    return options


if __name__ == "__main__":
    main()
