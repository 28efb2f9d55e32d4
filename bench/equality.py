"""Measures the three levels of equality: operator, model, text. Lines in bench/results.

    python bench/equality.py --checkpoint runs/en-voice/result --onnx onnx/ --hb en-voice.hb
    python bench/equality.py ... --limit 5 --level model        a trial: its lines go to build/

operator  runs the tests in which the reference, torch, ONNX Runtime and every kernel must agree to
          the last bit, and counts them.
model     runs training graph, ONNX Runtime and engine chunk by chunk on test utterances, each with
          its own state, and counts activation codes that differ, layer by layer.
text      transcribes all test utterances with each, and with the engine on every instruction set.
engine    transcribes them with the engine alone, on every instruction set and on one to three
          threads: encoder outputs and texts must be the same.
integer   of an integer-only model: as text, but the bits of all encoder outputs must be the same in
          training graph, ONNX Runtime and the engine on every instruction set.
arm       transcribes --utterances of a split on emulated Arm CPUs: bits and texts must be the same.

The last three are not run unless asked for; engine and arm need --hb alone.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import Any

from corpus import Samples, Split, decode_split, worded_splits
from jobs import Job, run_jobs
from origin import RESULTS, ROOT, origin, table

from halfbyte import _core
from halfbyte.engine import ModelFile
from halfbyte.measure.result_lines import append_line

BUILD = ROOT / "build" / "bench"
AUDIO = BUILD / "audio"
OPERATOR_TESTS = ["tests/kernels", "tests/quant"]
LEVELS = ["operator", "model", "text"]
ASKED_FOR = ["engine", "integer", "arm"]
THREADS = [1, 2, 3]
Line = dict[str, Any]


def main() -> None:
    """Measure the levels asked for and print a table of each."""
    options = parse()
    levels = {
        "operator": operator_level,
        "model": model_level,
        "text": text_level,
        "engine": engine_level,
        "integer": integer_level,
        "arm": arm_level,
    }
    results = BUILD / "equality-trial.jsonl" if options.limit else RESULTS / "equality.jsonl"
    for level in options.level or LEVELS:
        figures, shown = levels[level](options)
        print(f"\n{level}\n{shown}", flush=True)
        line = {"model": options.hb.stem, "level": level, **figures, **origin()}
        append_line(results, line)
        print(json.dumps(line, ensure_ascii=False), flush=True)


def operator_level(options: argparse.Namespace) -> tuple[Line, str]:
    """Cases of the operator tests by file; a failure ends the benchmark."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.xml"
        command = [sys.executable, "-m", "pytest", "-q", f"--junitxml={report}", *OPERATOR_TESTS]
        run = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=False)
        if run.returncode:
            raise SystemExit(run.stdout)
        cases: dict[str, int] = {}
        for case in ElementTree.parse(report).iter("testcase"):
            if case.find("skipped") is None:
                name = case.attrib["classname"].removeprefix("tests.")
                cases[name] = cases.get(name, 0) + 1
    figures = {
        "cases": sum(cases.values()),
        "cases_by_file": cases,
        "isas": _core.kernels.isas(),
    }
    rows = [[name, str(count)] for name, count in cases.items()]
    return figures, table(["tests", "cases passed"], [*rows, ["all", str(figures["cases"])]])


def model_level(options: argparse.Namespace) -> tuple[Line, str]:
    """Differences and flipped codes of ONNX Runtime and engine against the training graph."""
    from graph_taps import Comparison, compare

    splits = worded_splits(options.split, options.limit or options.utterances)
    comparison: Comparison = compare(
        options.checkpoint, options.onnx, features_of(splits), options.chunk_ms
    )
    figures = {
        "utterances": sum(len(split.utterances) for split in splits),
        "chunk_ms": options.chunk_ms,
        **comparison.figures(),
    }
    rows = [
        [layer, *(f"{counts[runner] / counts['codes']:.2e}" for runner in comparison.runners)]
        for layer, counts in figures["flipped_by_layer"].items()
    ]
    rows.append(["all layers", *(f"{figures[r]['codes_flipped']:.2e}" for r in comparison.runners)])
    rows.append(
        ["largest difference of encoder_out"]
        + [f"{figures[r]['encoder_out_difference']:.2e}" for r in comparison.runners]
    )
    head = ["share of activation codes that differ", *comparison.runners]
    return figures, table(head, rows)


def features_of(splits: list[Split]) -> list[Any]:
    """Features of every utterance, (T, 80) each, from the engine's front end."""
    features = []
    for split in splits:
        samples = Samples(decode_split(split, AUDIO))
        for utterance in split.utterances:
            fbank = _core.audio.Fbank(16000, 80)
            fbank.accept(samples[utterance.id])
            fbank.finish()
            features.append(fbank.peek(fbank.num_frames_ready))
    return features


def text_level(options: argparse.Namespace) -> tuple[Line, str]:
    """Transcripts of every runner against the engine's on its best instruction set."""
    splits = worded_splits(options.split, options.limit)
    isas = _core.kernels.isas()
    runners = {f"engine {isa}": (options.hb, isa) for isa in reversed(isas)}
    runners |= {"ONNX Runtime": (options.onnx, ""), "training graph": (options.checkpoint, "")}
    folder = BUILD / "equality"
    jobs = {
        Job(
            path,
            split,
            options.chunk_ms,
            options.mode,
            folder / f"{name.replace(' ', '-')}-{split.file_name}.json",
            isa,
            is_hashed=True,
        ): (name, split.name)
        for name, (path, isa) in runners.items()
        for split in splits
    }
    results = {jobs[job]: result for job, result in run_jobs(list(jobs), AUDIO, options.workers)}
    best = f"engine {isas[-1]}"
    figures: Line = {
        "utterances": sum(len(split.utterances) for split in splits),
        "chunk_ms": options.chunk_ms,
        "mode": options.mode,
    }
    for name in runners:
        pairs = [(results[name, s.name], results[best, s.name]) for s in splits]
        figures[name] = {
            "texts_that_differ": sum(
                text != other["transcripts"][i]
                for one, other in pairs
                for i, text in one["transcripts"].items()
            ),
            "same_encoder_bits": all(a["encoder_sha256"] == b["encoder_sha256"] for a, b in pairs),
        }
    rows = [
        [name, str(figures[name]["texts_that_differ"]), str(figures[name]["same_encoder_bits"])]
        for name in runners
    ]
    head = [f"{figures['utterances']} texts against {best}", "differ", "encoder bits are the same"]
    return figures, table(head, rows)


def engine_level(options: argparse.Namespace) -> tuple[Line, str]:
    """Encoder outputs and texts of every instruction set and number of threads; all must agree."""
    splits = worded_splits(options.split, options.limit)
    isas = list(reversed(_core.kernels.isas()))
    jobs = {
        Job(
            options.hb,
            split,
            options.chunk_ms,
            options.mode,
            BUILD / "equality" / f"{isa}-{threads}-{split.file_name}.json",
            isa,
            is_hashed=True,
            threads=threads,
        ): (isa, threads, split.name)
        for split in splits
        for isa in isas
        for threads in THREADS
    }
    outcomes: dict[str, set[str]] = {split.name: set() for split in splits}
    rows = []
    for job, result in run_jobs(list(jobs), AUDIO, options.workers):
        isa, threads, split_name = jobs[job]
        outcomes[split_name].add(json.dumps([result["encoder_sha256"], result["transcripts"]]))
        rows.append([split_name, isa, str(threads), result["encoder_sha256"][:16]])
    differing = [name for name, different in outcomes.items() if len(different) > 1]
    if differing:
        raise SystemExit(f"instruction sets or threads differ on {', '.join(differing)}")
    figures = {
        "splits": {split.name: len(split.utterances) for split in splits},
        "chunk_ms": options.chunk_ms,
        "mode": options.mode,
        "isas": isas,
        "thread_counts": THREADS,
        "same_encoder_bits": True,
        "texts_that_differ": 0,
    }
    return figures, table(["split", "instructions", "threads", "encoder outputs, SHA-256"], rows)


def integer_level(options: argparse.Namespace) -> tuple[Line, str]:
    """Encoder outputs and texts of all runners; the bits of the former must agree."""
    if floating := ModelFile(options.hb).audit().floating:
        raise SystemExit(f"{options.hb} is not integer-only: {floating[0][0]} computes in float")
    figures, shown = text_level(options)
    runners = [name for name, value in figures.items() if isinstance(value, dict)]
    differing = [name for name in runners if not figures[name]["same_encoder_bits"]]
    if differing:
        raise SystemExit(f"{shown}\nencoder outputs differ: {', '.join(differing)}")
    return figures, shown


def arm_level(options: argparse.Namespace) -> tuple[Line, str]:
    """Encoder outputs and texts on emulated Arm CPUs; all must be those of this machine."""
    from arm_equality import compare_on_arm

    splits = worded_splits(options.split, options.limit or options.utterances)
    differing = compare_on_arm(options.hb, splits, options.mode, options.chunk_ms, AUDIO)
    if any(differing.values()):
        raise SystemExit(f"utterances that differ on Arm: {differing}")
    figures = {
        "splits": {split.name: len(split.utterances) for split in splits},
        "chunk_ms": options.chunk_ms,
        "mode": options.mode,
        "isas": list(differing),
        "utterances_that_differ": 0,
    }
    rows = [[isa, str(count)] for isa, count in differing.items()]
    return figures, table(["emulated Arm", "utterances that differ"], rows)


def parse() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--checkpoint", type=Path, metavar="DIR")
    parser.add_argument("--onnx", type=Path, metavar="DIR")
    parser.add_argument("--hb", type=Path, required=True, metavar="M.hb")
    parser.add_argument("--level", action="append", choices=[*LEVELS, *ASKED_FOR])
    parser.add_argument("--utterances", type=int, default=20, help="of a split, level model")
    parser.add_argument("--limit", type=int, metavar="N", help="a trial on N utterances a split")
    parser.add_argument("--split", action="append", metavar="CORPUS")
    parser.add_argument("--chunk-ms", type=int, default=640)
    parser.add_argument("--mode", default="rescoring")
    parser.add_argument("--workers", type=int, default=1, help="processes (%(default)s)")
    options = parser.parse_args()
    of_file = options.level and set(options.level) <= {"engine", "arm"}
    if not of_file and not (options.checkpoint and options.onnx):
        parser.error("every level but engine and arm needs --checkpoint and --onnx")
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    return options


if __name__ == "__main__":
    main()
