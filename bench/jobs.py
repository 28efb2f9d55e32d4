"""Runs recognise.py over many (model, split, chunk, mode), a process each, with a progress bar."""

import json
import os
import queue
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from corpus import Split, decode_split
from origin import ROOT

from halfbyte.progress import progress_bar

Result = dict[str, Any]


@dataclass(frozen=True)
class Job:
    """One run of recognise.py.

    Attributes:
        model: .hb file, checkpoint or ONNX folder.
        split: what is recognised.
        chunk_ms: 0 for whole segments.
        mode: decoding mode.
        out: where the result is kept.
        isa: instruction set to force, or none.
        is_hashed: whether encoder outputs are hashed.
        threads: of the engine.
    """

    model: Path
    split: Split
    chunk_ms: int
    mode: str
    out: Path
    isa: str = ""
    is_hashed: bool = False
    threads: int = 1


def run_jobs(jobs: list[Job], audio: Path, num_workers: int) -> Iterator[tuple[Job, Result]]:
    """Run jobs, so many at a time; yields each with its result as it ends.

    Args:
        audio: folder for decoded audio.
        num_workers: processes at a time.

    Raises:
        SystemExit: a process failed; what it said stands on standard error.
    """
    splits = {job.split.name: job.split for job in jobs}
    indices = {name: decode_split(split, audio) for name, split in splits.items()}
    news: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
    num_utterances = sum(len(job.split.utterances) for job in jobs)
    ticks = progress_bar(range(num_utterances), "recognising")
    with ThreadPoolExecutor(num_workers) as pool:
        for job in jobs:
            pool.submit(_run, job, indices[job.split.name], news)
        num_left = len(jobs)
        while num_left:
            job_ended = news.get()
            if job_ended is None:
                next(ticks, None)
                continue
            if not job_ended.out.exists():
                pool.shutdown(cancel_futures=True)
                raise SystemExit(
                    f"recognising {job_ended.split.name} with {job_ended.model} failed"
                )
            num_left -= 1
            yield job_ended, json.loads(job_ended.out.read_text(encoding="utf-8"))
    next(ticks, None)


def _run(job: Job, index: Path, news: "queue.SimpleQueue[Job | None]") -> None:
    """Start a process and pass on a None per utterance, then the job."""
    job.out.parent.mkdir(parents=True, exist_ok=True)
    job.out.unlink(missing_ok=True)
    command = [sys.executable, str(ROOT / "bench" / "recognise.py"), str(job.model), str(index)]
    command += [str(job.out), "--chunk-ms", str(job.chunk_ms), "--mode", job.mode]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "HALFBYTE_THREADS": str(job.threads)}
    if job.is_hashed:
        command.append("--hash")
    if job.isa:
        environment["HALFBYTE_ISA"] = job.isa
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        while process.stdout.read(1):
            news.put(None)
    news.put(job)
