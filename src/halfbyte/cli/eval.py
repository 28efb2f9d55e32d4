"""`halfbyte eval`: the same figures for a checkpoint, an ONNX folder and a .hb file."""

import argparse
import json
from pathlib import Path

from halfbyte.errors import ManifestError, UsageError
from halfbyte.files import write_whole

EPILOG = """\
examples:
  halfbyte eval src/halfbyte/assets/en-voice.hb test.jsonl
  halfbyte eval runs/en-voice/result test.jsonl --chunk-ms 320
  halfbyte eval onnx/ test.jsonl --mode greedy --json
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `halfbyte eval`."""
    parser.epilog = EPILOG
    parser.add_argument("model", type=Path, metavar="MODEL", help="checkpoint, ONNX folder or .hb")
    parser.add_argument("manifest", type=Path, nargs="+", metavar="MANIFEST", help="JSON lines")
    parser.add_argument("--chunk-ms", type=int, default=0, metavar="N", help="0: full context")
    parser.add_argument("--mode", default="rescoring", help="rescoring, prefix_beam, greedy, …")
    parser.add_argument("--skip-bad", action="store_true", help="leave out bad lines, count them")
    parser.add_argument("--json", action="store_true", help="one JSON object")
    parser.add_argument("--transcripts", type=Path, metavar="FILE", help="write what was heard")


def run(options: argparse.Namespace) -> int:
    """Recognise all utterances of the manifests and print errors, speed and size.

    Word errors are in percent of words, the real-time factor is seconds per second of audio,
    sizes are bytes. `--transcripts` gets one JSON object a line: id and what was heard.

    Raises:
        UsageError: no model there, or a chunk or mode that it does not have.
        ManifestError: a bad line, unless `--skip-bad`.
        AudioError: a recording that cannot be read.
    """
    from halfbyte.data.manifest import read_manifest
    from halfbyte.listen.recognizer import Recognizer
    from halfbyte.measure.evaluate import Evaluation, evaluate, open_acoustic_model
    from halfbyte.progress import progress_bar

    if not options.model.exists():
        raise UsageError(f"no model at {options.model}; expected a checkpoint, ONNX folder or .hb")
    skipped: list[ManifestError] | None = [] if options.skip_bad else None
    utterances = [u for manifest in options.manifest for u in read_manifest(manifest, skipped)]
    recognizer = Recognizer(open_acoustic_model(options.model))
    result = Evaluation()
    results = evaluate(recognizer, utterances, options.chunk_ms, options.mode)
    for _ in progress_bar(utterances, "recognising"):
        result = next(results)
    summary = {
        "model": str(options.model),
        "bytes": _size_bytes(options.model),
        "chunk_ms": options.chunk_ms,
        "mode": options.mode,
        **result.summary(),
        **({"bad_lines": len(skipped)} if skipped else {}),
    }
    if options.transcripts:
        lines = (json.dumps({"id": i, "text": t}) for i, t in result.transcripts.items())
        write_whole(options.transcripts, ("\n".join(lines) + "\n").encode())
    print(json.dumps(summary) if options.json else _table(summary))
    return 0


def _size_bytes(path: Path) -> int:
    files = [path] if path.is_file() else [f for f in path.rglob("*") if f.is_file()]
    return sum(f.stat().st_size for f in files)


def _table(summary: dict[str, object]) -> str:
    width = max(len(name) for name in summary)
    return "\n".join(f"{name:<{width}}  {value}" for name, value in summary.items())
