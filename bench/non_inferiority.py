"""Whether a model is not worse than another, by speakers drawn anew; lines in bench/results.

    python bench/non_inferiority.py w4a8=4bit.hb float32=float.hb
    python bench/non_inferiority.py w4a8=4bit.hb float32=float.hb --limit 20     a trial: to build/

The first model may have a word error rate that is greater by MARGIN, relative; the margin stood
here before the first run. README.md says what the lines hold.
"""

import argparse
from collections.abc import Iterator
from typing import Any

import numpy as np
from corpus import Split, worded_splits
from evaluate import ALL, AUDIO, BUILD, CHUNKS_MS, Model, Recognised
from jobs import Job, Result, run_jobs
from origin import RESULTS, origin, table

from halfbyte.measure.result_lines import append_line
from halfbyte.scores.bootstrap import Counts, relative_difference

MARGIN = 0.02
MODE = "rescoring"
Line = dict[str, Any]


def main() -> None:
    """Recognise with both models, compare, append the lines, print a table."""
    options = parse()
    splits = worded_splits(None, options.limit)
    models = [Model(options.model), Model(options.other)]
    jobs = [
        _job(model, split, chunk_ms)
        for chunk_ms in CHUNKS_MS
        for model in models
        for split in splits
    ]
    results = dict(run_jobs(jobs, AUDIO, options.workers))
    path = (
        BUILD / "non-inferiority-trial.jsonl"
        if options.limit
        else RESULTS / "non-inferiority.jsonl"
    )
    rows = []
    for line in compared(models, splits, results):
        append_line(path, line)
        rows.append(_row(line))
    print(table(["split", "chunk", "WER", "other's", "difference", "95 %", "not worse"], rows))


def compared(
    models: list[Model], splits: list[Split], results: dict[Job, Result]
) -> Iterator[Line]:
    """A line for each chunk and split, and for all splits together."""
    for chunk_ms in CHUNKS_MS:
        for name, chosen in [*((split.name, [split]) for split in splits), (ALL, splits)]:
            counts = [
                [_by_speaker(split, results[_job(model, split, chunk_ms)]) for split in chosen]
                for model in models
            ]
            difference = relative_difference(*counts)
            yield {
                "model": models[0].facts["number_format"],
                "other": models[1].facts["number_format"],
                "split": name,
                "chunk_ms": chunk_ms,
                "mode": MODE,
                "wer": _wer(counts[0]),
                "other_wer": _wer(counts[1]),
                "difference": round(difference.value, 5),
                "low": round(difference.low, 5),
                "high": round(difference.high, 5),
                "margin": MARGIN,
                "is_non_inferior": difference.is_non_inferior(MARGIN),
                "bytes": models[0].facts["bytes"],
                "parameters": models[0].facts["parameters"],
                "speakers": sum(len(split) for split in counts[0]),
                "model_sha256": models[0].sha256,
                "other_sha256": models[1].sha256,
                **origin(),
            }


def _job(model: Model, split: Split, chunk_ms: int) -> Job:
    folder = BUILD / "transcripts" / model.sha256[:16]
    out = folder / f"{split.file_name}-{chunk_ms}-{MODE}.json"
    return Job(model.path, split, chunk_ms, MODE, out)


def _by_speaker(split: Split, result: Result) -> Counts:
    recognised = Recognised()
    recognised.add(split, result)
    return np.array([recognised.by_speaker[name] for name in sorted(recognised.by_speaker)])


def _wer(splits: list[Counts]) -> float:
    errors, words = np.concatenate(splits).sum(axis=0)
    return round(float(errors / words), 5)


def _row(line: Line) -> list[str]:
    return [
        line["split"],
        f"{line['chunk_ms']} ms" if line["chunk_ms"] else "whole",
        f"{100 * line['wer']:.2f} %",
        f"{100 * line['other_wer']:.2f} %",
        f"{100 * line['difference']:+.2f} %",
        f"{100 * line['low']:+.2f} … {100 * line['high']:+.2f} %",
        "yes" if line["is_non_inferior"] else "not shown",
    ]


def parse() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("model", metavar="FORMAT=M.hb")
    parser.add_argument("other", metavar="FORMAT=M.hb", help="what it is compared with")
    parser.add_argument("--workers", type=int, default=1, help="processes (%(default)s)")
    parser.add_argument("--limit", type=int, metavar="N", help="a trial on N utterances a split")
    return parser.parse_args()


if __name__ == "__main__":
    main()
