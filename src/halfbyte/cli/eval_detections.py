"""What `halfbyte eval` says of a model that detects: misses, false alarms, curves."""

import argparse
import json
from pathlib import Path
from typing import Any

from halfbyte.data.manifest import read_manifest
from halfbyte.listen.recognizer import Recognizer
from halfbyte.measure.detection import plot_curves, summary, try_keywords
from halfbyte.progress import progress_bar


def run(recognizer: Recognizer, options: argparse.Namespace, skipped: list[Any] | None) -> int:
    """Listen to the recordings of all manifests and print figures; see `halfbyte eval`."""
    words, others = (
        [u for path in paths or () for u in read_manifest(path, skipped, "intervals")]
        for paths in (options.manifest, options.negatives)
    )
    progress = try_keywords(recognizer, words, others)
    for _ in progress_bar([*words, *others], "listening"):
        trials = next(progress)
    settings = recognizer.model.settings
    thresholds = dict(zip(settings.labels, settings.thresholds, strict=True))
    result: dict[str, Any] = {"model": str(options.model), "recordings": len(words) + len(others)}
    result |= summary(trials, thresholds)
    if options.plot:
        plot_curves(trials, options.plot)
    if options.curves:
        curves = {label: one.curve() for label, one in trials.items()}
        Path(options.curves).write_text(json.dumps(curves))
    print(json.dumps(result) if options.json else table(result))
    return 0


def table(result: dict[str, Any]) -> str:
    """A line for each keyword."""
    lines = ["keyword      words  misses at 0.5 and 2 alarms an hour   own threshold"]
    for label, one in result["keywords"].items():
        shares = [f"{100 * one[at]['misses']:5.1f} %" for at in ("at_0.5", "at_2", "own")]
        rate = one["own"]["alarms_per_hour"]
        lines.append(
            f"{label:<12} {one['words']:>5}  {shares[0]:>12} {shares[1]:>12}"
            f"{shares[2]:>18}, {rate:.2f} alarms an hour"
        )
    return "\n".join(lines)
