"""Measures models on the test splits and appends result lines to bench/results.

    python bench/run.py                                    the model that ships
    python bench/run.py float32=float.hb w4a8=4bit.hb      several, on the same splits
    python bench/run.py --chunk-ms 320 --mode greedy --split wuw2

Each line is one run of `halfbyte eval --json` in a process of its own, so that its memory is its
own. The corpora are those of HALFBYTE_DATA, else of ../shared/speech.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
from pathlib import Path
from typing import Any

from halfbyte import _core
from halfbyte.listen.recognizer import default_model

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "bench" / "results" / "en-voice.jsonl"
CHUNKS_MS = [0, 640, 320]
MODES = ["rescoring", "greedy"]
Line = dict[str, Any]


def main() -> None:
    """Measure every combination and append its line."""
    options = parse()
    data = Path(os.environ.get("HALFBYTE_DATA") or ROOT.parent / "shared" / "speech")
    manifests = [path for path in sorted(data.glob("*/test.jsonl")) if has_text(path)]
    if options.split:
        manifests = [path for path in manifests if path.parent.name in options.split]
    if not manifests:
        sys.exit(f"no test split with text in {data}; set HALFBYTE_DATA")
    for model in options.models or [f"w4a8={default_model()}"]:
        number_format, _, path = model.partition("=")
        for manifest in manifests:
            for chunk_ms in options.chunk_ms or CHUNKS_MS:
                for mode in options.mode or MODES:
                    summary = evaluate(path, manifest, chunk_ms, mode)
                    append(result_line(summary, number_format, manifest, options.seed))


def parse() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("models", nargs="*", metavar="FORMAT=M.hb", help="default: the shipped one")
    parser.add_argument(
        "--chunk-ms", type=int, action="append", metavar="N", help="0: whole segment"
    )
    parser.add_argument("--mode", action="append", help="rescoring, prefix_beam, greedy, attention")
    parser.add_argument("--split", action="append", metavar="CORPUS", help="default: all with text")
    parser.add_argument("--seed", type=int, default=1, help="of the training (%(default)s)")
    return parser.parse_args()


def has_text(manifest: Path) -> bool:
    """Whether anything is said in a split."""
    lines = manifest.read_text(encoding="utf-8").split("\n")
    return any(json.loads(line)["text"] for line in lines if line)


def evaluate(model: str, manifest: Path, chunk_ms: int, mode: str) -> Line:
    """The summary that `halfbyte eval` prints."""
    command = [sys.executable, "-m", "halfbyte", "eval", model, str(manifest), "--json"]
    command += ["--chunk-ms", str(chunk_ms), "--mode", mode]
    printed = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    summary: Line = json.loads(printed)
    return summary


def result_line(summary: Line, number_format: str, manifest: Path, seed: int) -> Line:
    """A summary as a result line; bench/results/README.md says what the keys mean."""
    return {
        **summary,
        "model": RESULTS.stem,
        "number_format": number_format,
        "split": f"{manifest.parent.name}/{manifest.stem}",
        "machine": machine(),
        "commit": commit(),
        "seed": seed,
    }


def machine() -> str:
    """Processor and instruction set."""
    try:
        lines = Path("/proc/cpuinfo").read_text().split("\n")
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    isa = os.environ.get("HALFBYTE_ISA") or _core.kernels.isas()[-1]
    return f"{names[0] if names else platform.machine()}, {isa}"


def commit() -> str:
    """Commit of the code, `-dirty` if files differ from it."""
    command = ["git", "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    return subprocess.run(
        command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True
    ).stdout.strip()


def append(line: Line) -> None:
    """Write a line down and show its figures."""
    with RESULTS.open("a", encoding="utf-8") as file:
        file.write(json.dumps(line) + "\n")
    shown = ("number_format", "split", "chunk_ms", "mode", "wer", "sentence_accuracy", "rtf")
    print("  ".join(str(line[key]) for key in shown), flush=True)


if __name__ == "__main__":
    main()
