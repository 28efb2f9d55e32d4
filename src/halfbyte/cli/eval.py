"""`halfbyte eval`: the same figures for a checkpoint, an ONNX folder and a .hb file."""

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from halfbyte.errors import ManifestError, UsageError
from halfbyte.files import write_whole

if TYPE_CHECKING:
    from halfbyte.data.manifest import Utterance

EPILOG = """\
examples:
  halfbyte eval src/halfbyte/assets/en-voice.hb test.jsonl
  halfbyte eval runs/en-voice/result test.jsonl --chunk-ms 320
  halfbyte eval onnx/ test.jsonl --mode greedy --json
  halfbyte eval commands.hb words.jsonl --negatives others.jsonl --plot det.png
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `halfbyte eval`."""
    parser.epilog = EPILOG
    parser.add_argument("model", type=Path, metavar="MODEL", help="checkpoint, ONNX folder or .hb")
    parser.add_argument(
        "manifest",
        type=Path,
        nargs="+",
        metavar="MANIFEST",
        help="recordings with texts, one JSON object per line",
    )
    parser.add_argument(
        "--chunk-ms",
        type=int,
        default=0,
        metavar="N",
        help="recognise in chunks of N ms; 0: the whole segment at once",
    )
    parser.add_argument(
        "--mode", metavar="M", help="how final results are decoded; halfbyte info lists the modes"
    )
    parser.add_argument(
        "--negatives",
        type=Path,
        action="append",
        metavar="MANIFEST",
        help="sound without keywords, of a model that detects them",
    )
    parser.add_argument(
        "--plot", type=Path, metavar="FILE", help="curves of detections, png or svg"
    )
    parser.add_argument("--curves", type=Path, metavar="FILE", help="the same as JSON")
    parser.add_argument(
        "--skip-bad", action="store_true", help="leave out bad lines and count them"
    )
    parser.add_argument("--json", action="store_true", help="print the figures as a JSON object")
    parser.add_argument(
        "--transcripts", type=Path, metavar="FILE", help="write the recognised texts to this file"
    )


def run(options: argparse.Namespace) -> int:
    """Recognise all utterances of the manifests and print errors, speed and size.

    A model that detects gives misses at 0.5 and 2 false alarms an hour instead: the intervals of
    MANIFEST are words to find, those of `--negatives` excuse detections of their label. A
    checkpoint of a family that streams nothing here gives its family's figures.

    Word errors are in percent of words, the real-time factor is seconds per second of audio,
    sizes are bytes. `--transcripts` gets one JSON object a line: id and what was heard.

    Raises:
        UsageError: no model there, or a chunk or mode that it does not have.
        ManifestError: a bad line, unless `--skip-bad`.
        AudioError: a recording that cannot be read.
    """
    from halfbyte.data.manifest import read_manifest
    from halfbyte.listen.recognizer import Recognizer
    from halfbyte.measure.evaluate import (
        Evaluation,
        evaluate,
        has_pipeline,
        label_key,
        open_acoustic_model,
    )
    from halfbyte.progress import progress_bar

    if not options.model.exists():
        raise UsageError(f"no model at {options.model}; expected a checkpoint, ONNX folder or .hb")
    skipped: list[ManifestError] | None = [] if options.skip_bad else None
    if not has_pipeline(options.model):
        key = label_key(options.model)
        return _validate(
            options, [u for path in options.manifest for u in read_manifest(path, skipped, key)]
        )
    recognizer = Recognizer(open_acoustic_model(options.model))
    if recognizer.model.settings.labels:
        from halfbyte.cli import eval_detections  # with numpy, which texts do without

        return eval_detections.run(recognizer, options, skipped)
    utterances = [u for path in options.manifest for u in read_manifest(path, skipped)]
    result = Evaluation()
    results = evaluate(recognizer, utterances, options.chunk_ms, options.mode)
    for _ in progress_bar(utterances, "recognising"):
        result = next(results)
    summary = {
        "model": str(options.model),
        "bytes": _size_bytes(options.model),
        "chunk_ms": options.chunk_ms,
        "mode": options.mode or recognizer.model.settings.default_mode,
        **result.summary(),
        **({"bad_lines": len(skipped)} if skipped else {}),
    }
    if options.transcripts:
        lines = (json.dumps({"id": i, "text": t}) for i, t in result.transcripts.items())
        write_whole(options.transcripts, ("\n".join(lines) + "\n").encode())
    print(json.dumps(summary) if options.json else _table(summary))
    return 0


def _validate(options: argparse.Namespace, utterances: list["Utterance"]) -> int:
    """The figures of a family that writes no words."""
    from halfbyte.measure.evaluate import validate
    from halfbyte.progress import progress_bar

    scores = validate(options.model, utterances)
    for _ in progress_bar(utterances, "validating"):
        figures = next(scores).figures()
    summary: dict[str, Any] = {"model": str(options.model), "bytes": _size_bytes(options.model)}
    summary |= {"recordings": len(utterances), **{n: round(v, 5) for n, v in figures.items()}}
    print(json.dumps(summary) if options.json else _table(summary))
    return 0


def _size_bytes(path: Path) -> int:
    files = [path] if path.is_file() else [f for f in path.rglob("*") if f.is_file()]
    return sum(f.stat().st_size for f in files)


def _table(summary: dict[str, object]) -> str:
    width = max(len(name) for name in summary)
    return "\n".join(f"{name:<{width}}  {value}" for name, value in summary.items())
