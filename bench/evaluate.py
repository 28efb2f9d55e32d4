"""Word error rate, size and speed of model files on every test split; lines in bench/results.

    python bench/evaluate.py float32=float.hb w4a8=4bit.hb --workers 2
    python bench/evaluate.py w4a8=4bit.hb --limit 10            a trial: its lines go to build/

README.md says what the lines hold. A line that is there for the same file is not measured again.
"""

import argparse
import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from corpus import Split, worded_splits
from jobs import Job, Result, run_jobs
from origin import RESULTS, ROOT, origin, table

from halfbyte.engine import ModelFile
from halfbyte.measure.result_lines import append_line, read_lines
from halfbyte.scores.bootstrap import rate_interval
from halfbyte.scores.words import Errors, count_errors

BUILD = ROOT / "build" / "bench"
AUDIO = BUILD / "audio"
CHUNKS_MS = [0, 640, 320]
MODES = ["rescoring", "greedy"]
ALL = "all"  # the splits together
Line = dict[str, Any]


class Model:
    """A model file with its facts.

    Args:
        pair: number format and path, "w4a8=en-voice.hb".
    """

    def __init__(self, pair: str):
        self.number_format, _, path = pair.partition("=")
        self.path = Path(path)
        if not self.path.is_file():
            raise SystemExit(f"no model file at {path!r}; expected FORMAT=M.hb")
        file = ModelFile(self.path)
        self.sha256 = hashlib.sha256(self.path.read_bytes()).hexdigest()
        self.facts = {
            "model": file.metadata["name"],
            "number_format": self.number_format,
            "bytes": file.num_bytes,
            "parameters": sum(layer.num_parameters for layer in file.stored_layers()),
        }
        self.facts["float32_bytes"] = 4 * self.facts["parameters"]


class Recognised:
    """Results of the same model, chunk and mode on one or several splits."""

    def __init__(self) -> None:
        self.spoken = Errors()
        self.silent = Errors()
        self.by_speaker: dict[str, tuple[int, int]] = {}  # errors and words
        self.seconds = 0.0
        self.audio_s = 0.0
        self.peak_rss_bytes = 0

    def add(self, split: Split, result: Result) -> None:
        """Count a split."""
        for utterance in split.utterances:
            errors = count_errors(utterance.text, result["transcripts"][utterance.id])
            if not utterance.text:
                self.silent += errors
                continue
            self.spoken += errors
            speaker = f"{split.name} {utterance.speaker or utterance.id}"
            before = self.by_speaker.get(speaker, (0, 0))
            self.by_speaker[speaker] = (before[0] + errors.num_errors, before[1] + errors.num_words)
        self.seconds += result["seconds"]
        self.audio_s += result["audio_s"]
        self.peak_rss_bytes = max(self.peak_rss_bytes, result["peak_rss_bytes"])

    def figures(self) -> Line:
        """The figures of a result line."""
        low, high = rate_interval(np.array(list(self.by_speaker.values())))
        return {
            "utterances": self.spoken.num_utterances,
            "words": self.spoken.num_words,
            "wer": round(self.spoken.wer, 5),
            "wer_low": round(low, 5),
            "wer_high": round(high, 5),
            "sentence_accuracy": round(self.spoken.sentence_accuracy, 5),
            "substitutions": self.spoken.substitutions,
            "deletions": self.spoken.deletions,
            "insertions": self.spoken.insertions,
            "silent_utterances": self.silent.num_utterances,
            "false_words": self.silent.insertions,
            "audio_s": round(self.audio_s, 1),
            "rtf": round(self.seconds / max(self.audio_s, 1e-9), 5),
            "peak_rss_bytes": self.peak_rss_bytes,
        }


class Evaluation:
    """Which lines are wanted, which are there, and what is still to be recognised.

    Args:
        options: the command line.
    """

    def __init__(self, options: argparse.Namespace):
        self.models = [Model(pair) for pair in options.models]
        self.splits = worded_splits(options.split, options.limit)
        self.chunks_ms, self.modes = options.chunk_ms or CHUNKS_MS, options.mode or MODES
        is_trial = options.limit or options.split
        self.results = BUILD / "trial.jsonl" if is_trial else RESULTS / "en-voice.jsonl"
        self.seed, self.num_workers = options.seed, options.workers
        self.have = set() if options.again else {_kind(line) for line in read_lines(self.results)}
        self.is_kept = not options.again

    def run(self) -> Iterator[Line]:
        """Recognise what is missing; yields and writes each line as soon as it is known."""
        groups = {
            (model.sha256, chunk_ms, mode): (model, self._jobs(model, chunk_ms, mode))
            for model in self.models
            for chunk_ms in self.chunks_ms
            for mode in self.modes
            if any((model.sha256, n, chunk_ms, mode) not in self.have for n in self._names())
        }
        kept = {
            job: job.out.exists() and self.is_kept for _, jobs in groups.values() for job in jobs
        }
        results = {job: read_lines(job.out)[0] for job, is_kept in kept.items() if is_kept}
        for model, jobs in groups.values():
            yield from self._lines(model, jobs, results, jobs)
        missing = [job for job, is_kept in kept.items() if not is_kept]
        for job, result in run_jobs(missing, AUDIO, self.num_workers) if missing else []:
            results[job] = result
            model, jobs = next(group for group in groups.values() if job in group[1])
            yield from self._lines(model, jobs, results, [job])

    def _names(self) -> list[str]:
        return [split.name for split in self.splits] + [ALL]

    def _jobs(self, model: Model, chunk_ms: int, mode: str) -> list[Job]:
        folder = BUILD / "transcripts" / model.sha256[:16]
        return [
            Job(model.path, s, chunk_ms, mode, folder / f"{s.file_name}-{chunk_ms}-{mode}.json")
            for s in self.splits
        ]

    def _lines(
        self, model: Model, jobs: list[Job], results: dict[Job, Result], new: list[Job]
    ) -> Iterator[Line]:
        """Lines of splits that have just got a result, and of all splits once each has one."""
        for job in new:
            if job in results:
                yield from self._line(model, job.split.name, [job], results)
        if all(job in results for job in jobs):
            yield from self._line(model, ALL, jobs, results)

    def _line(
        self, model: Model, split: str, jobs: list[Job], results: dict[Job, Result]
    ) -> Iterator[Line]:
        recognised = Recognised()
        for job in jobs:
            recognised.add(job.split, results[job])
        line = {
            **model.facts,
            "split": split,
            "chunk_ms": jobs[0].chunk_ms,
            "mode": jobs[0].mode,
            **recognised.figures(),
            **origin(),
            "seed": self.seed,
            "model_sha256": model.sha256,
        }
        if _kind(line) not in self.have:
            self.have.add(_kind(line))
            append_line(self.results, line)
            yield line


def _kind(line: Line) -> tuple[str, str, int, str]:
    return line.get("model_sha256", ""), line["split"], line["chunk_ms"], line["mode"]


def main() -> None:
    """Measure what is missing and print a table."""
    options = parse()
    evaluation = Evaluation(options)
    for line in evaluation.run():
        print(
            f"{line['number_format']} {line['split']} {line['chunk_ms']} ms {line['mode']}: "
            f"WER {100 * line['wer']:.2f} %, right {100 * line['sentence_accuracy']:.2f} %",
            flush=True,
        )
    shas = {model.sha256 for model in evaluation.models}
    lines = [line for line in read_lines(evaluation.results) if line.get("model_sha256") in shas]
    print(overview(lines))


def overview(lines: list[Line]) -> str:
    """A row per split, chunk and mode: a column of word error rates per number format."""
    formats = list(dict.fromkeys(line["number_format"] for line in lines))
    rows: dict[tuple[Any, ...], dict[str, Line]] = {}
    for line in lines:
        row = (line["split"], line["chunk_ms"], line["mode"])
        rows.setdefault(row, {})[line["number_format"]] = line
    head = ["split", "chunk", "mode"]
    head += [
        f"{what} {name}" for name in formats for what in ("WER", "95 %", "right", "false", "rtf")
    ]
    cells = []
    for (split, chunk_ms, mode), by_format in sorted(rows.items()):
        cells.append([split, str(chunk_ms), mode])
        for name in formats:
            cells[-1] += _cells(by_format[name]) if name in by_format else ["-"] * 5
    return table(head, cells)


def _cells(line: Line) -> list[str]:
    return [
        f"{100 * line['wer']:.2f}",
        f"{100 * line['wer_low']:.1f}–{100 * line['wer_high']:.1f}",
        f"{100 * line['sentence_accuracy']:.2f}",
        f"{line['false_words']}/{line['silent_utterances']}",
        f"{line['rtf']:.4f}",
    ]


def parse() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("models", nargs="+", metavar="FORMAT=M.hb")
    parser.add_argument("--workers", type=int, default=1, help="processes (%(default)s)")
    parser.add_argument("--limit", type=int, metavar="N", help="a trial on N utterances a split")
    parser.add_argument("--split", action="append", metavar="CORPUS", help="a trial on this one")
    parser.add_argument("--chunk-ms", type=int, action="append", help="0: whole segments")
    parser.add_argument("--mode", action="append", help="rescoring, greedy, …")
    parser.add_argument("--seed", type=int, default=1, help="of the training (%(default)s)")
    parser.add_argument("--again", action="store_true", help="measure even what is there")
    return parser.parse_args()


if __name__ == "__main__":
    main()
