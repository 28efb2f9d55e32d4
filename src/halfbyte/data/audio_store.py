"""Decoded audio of a whole corpus in one memory-mapped file, so that it is decoded once."""

import hashlib
import json
import os
import tempfile
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import numpy as np
from numpy.typing import NDArray

from halfbyte.data.audio import check_duration, read_utterance
from halfbyte.data.manifest import Utterance
from halfbyte.errors import AudioError
from halfbyte.progress import progress_bar

_DECODED_AHEAD = 64  # recordings that may wait in memory to be written


class AudioStore:
    """Samples of utterances, int16, memory-mapped and shared between processes.

    Args:
        utterances: what to hold; order is kept.
        folder: where the store lies; one store for each list of files and rate. A file that
            has changed since makes a new store.
        sample_rate_hz: rate to hold.

    Raises:
        AudioError: a file cannot be read, or is not as long as its manifest says.
    """

    def __init__(self, utterances: list[Utterance], folder: Path, sample_rate_hz: int):
        files = [_identity(u) for u in utterances]
        key = hashlib.sha256(json.dumps([sample_rate_hz, files]).encode()).hexdigest()[:16]
        path, index_path = folder / f"{key}.pcm", folder / f"{key}.json"
        if not (index_path.exists() and path.exists()):
            folder.mkdir(parents=True, exist_ok=True)
            _build(utterances, path, index_path, sample_rate_hz)
        self._ends = json.loads(index_path.read_text())
        for number, utterance in enumerate(utterances):  # manifests of a store may change
            check_duration(utterance, self.num_samples(number) / sample_rate_hz)
        # An empty file cannot be mapped.
        empty = np.empty(0, np.int16)
        self._samples = np.memmap(path, dtype=np.int16, mode="r") if self._ends else empty

    def __len__(self) -> int:
        return len(self._ends)

    def num_samples(self, index: int) -> int:
        """Of utterance `index`."""
        return int(self._ends[index] - (self._ends[index - 1] if index else 0))

    def __getitem__(self, index: int) -> NDArray[np.float32]:
        """Samples of utterance `index`, (S,) float32 in -1..1."""
        start = self._ends[index - 1] if index else 0
        return self._samples[start : self._ends[index]].astype(np.float32) / 32768.0


def _identity(utterance: Utterance) -> list[str | int]:
    path = utterance.audio_path
    channel = [] if utterance.channel is None else [utterance.channel]
    try:
        status = path.stat()
    except OSError as error:
        raise AudioError(f"cannot read audio {path}: {error.strerror}") from error
    return [str(path.resolve()), status.st_size, status.st_mtime_ns, *channel]


def _build(utterances: list[Utterance], path: Path, index_path: Path, rate_hz: int) -> None:
    ends: list[int] = []
    with _written_whole(path) as file:
        for samples in _decoded(utterances, rate_hz):
            file.write(np.clip(np.rint(samples * 32768.0), -32768, 32767).astype(np.int16).data)
            ends.append((ends[-1] if ends else 0) + len(samples))
    with _written_whole(index_path) as index_file:  # last: its presence says that all is there
        index_file.write(json.dumps(ends).encode())


def _decoded(utterances: list[Utterance], rate_hz: int) -> Iterator[NDArray[np.float32]]:
    """Samples of utterance after utterance, a few of them decoded ahead on all processors."""
    ahead: deque[Future[NDArray[np.float32]]] = deque()
    with ThreadPoolExecutor() as pool:
        for utterance in progress_bar(utterances, "decoding audio"):
            ahead.append(pool.submit(read_utterance, utterance, rate_hz))
            if len(ahead) > _DECODED_AHEAD:
                yield ahead.popleft().result()
        while ahead:
            yield ahead.popleft().result()


@contextmanager
def _written_whole(path: Path) -> Iterator[IO[bytes]]:
    """A file to write, which appears under its name when all is written, or not at all."""
    file = tempfile.NamedTemporaryFile(dir=path.parent, delete=False)  # noqa: SIM115
    try:
        with file:
            yield file
        os.replace(file.name, path)
    except BaseException:
        os.unlink(file.name)
        raise
