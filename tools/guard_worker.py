"""What tools/guard.py runs inside the package of the checkout under guard; prints JSON.

    python guard_worker.py isas M.hb              instruction sets of this CPU
    python guard_worker.py encoder M.hb ISA       hashes of the encoder's output
    python guard_worker.py events AUDIO ...       hashes of what streams say, in each mode

Only public faces are used, so that modules may move: `halfbyte.Recognizer` and `halfbyte.engine`.
"""

import array
import contextlib
import dataclasses
import hashlib
import itertools
import json
import random
import sys
from collections.abc import Callable, Iterator
from typing import Any

import soundfile

import halfbyte
from halfbyte.engine import ModelFile, Session, State, Tensor

ISAS = ("portable", "avx2", "avxvnni", "avx512vnni", "amx", "neon", "neondot", "neoni8mm")
CHUNKS_MS = (0, 640, 320)
MODES = ("greedy", "prefix_beam", "rescoring", "attention")
NUM_BEST = 3
ODD_CUTS = (1, 7, 163, 1009, 4801, 16001)  # samples that arrive at once, in turns
SAVE_EVERY = 3  # calls of `accept`
GAP_S = (
    1.2  # between the recordings of the long stream: longer than the silence that ends a segment
)
NUM_CHUNKS = 8
NUM_BATCHED = 3


def isas(path: str) -> list[str]:
    """Instruction sets on which this machine runs the encoder."""
    file, found = ModelFile(path), []
    for name in ISAS:
        with contextlib.suppress(halfbyte.UsageError):
            Session(file, "encoder", isa=name)
            found.append(name)
    return found


def encoder(path: str, isa: str) -> dict[str, str]:
    """Hashes of the outputs for the file's test vector, a stream with its states, and a batch."""
    file = ModelFile(path)
    given = {n: t for n, t in file.test_vector().items() if n.startswith("input.")}
    inputs = {name.removeprefix("input."): tensor for name, tensor in given.items()}
    shape = inputs["features"].shape
    hashes = {}
    for threads in (1, 2):
        session = Session(file, "encoder", isa=isa, threads=threads)
        hashes[f"test vector, threads {threads}"] = _hash(session.run(inputs))
        state = State(file)
        outputs = [session.run({"features": x}, state) for x in _chunks(shape, NUM_CHUNKS)]
        hashes[f"stream, threads {threads}"] = _hash([outputs, state.tensors()])
        states = [State(file) for _ in range(NUM_BATCHED)]
        steps = [session.step_many(states, _chunks(shape, NUM_BATCHED)) for _ in range(2)]
        hashes[f"batch, threads {threads}"] = _hash([steps, [s.tensors() for s in states]])
    return hashes


def _chunks(shape: tuple[int, ...], count: int) -> list[Tensor]:
    """Features that look like speech, the same every time."""
    draw = random.Random(5)
    numbers = shape[-2] * shape[-1]
    rows = ([draw.gauss(12.0, 3.0) for _ in range(numbers)] for _ in range(count))
    return [Tensor.of(row, shape) for row in rows]


def events(*paths: str) -> dict[str, dict[str, str]]:
    """Hashes of all events: samples given as a whole, in odd cuts, and with saved states."""
    recognizer = halfbyte.Recognizer()
    recordings = [_read(path) for path in paths]
    settings = list(itertools.product(CHUNKS_MS, MODES))
    found = {}
    for chunk_ms, mode in settings:
        options = {"chunk_ms": chunk_ms, "mode": mode, "num_best": NUM_BEST}
        found[f"{chunk_ms} ms {mode}"] = {
            way.__name__.strip("_").replace("_", " "): _hash(
                [way(recognizer, samples, options) for samples in recordings]
            )
            for way in (_at_once, _in_odd_cuts, _saved_and_restored)
        }
        print(f"{chunk_ms} ms {mode}", file=sys.stderr, flush=True)
    return found | {"long streams": _long_streams(recognizer, recordings)}


def _long_streams(recognizer: Any, recordings: list[Any]) -> dict[str, str]:
    """Recordings one after another, with a pause between them: endpoints; also at 8 kHz."""
    long = array.array("f")
    for samples in recordings:
        long += samples
        long += array.array("f", bytes(4 * int(GAP_S * 16000)))
    return {
        "16 kHz": _hash(_in_odd_cuts(recognizer, long, {"chunk_ms": 320})),
        "16 kHz, restored": _hash(_saved_and_restored(recognizer, long, {"chunk_ms": 320})),
        "8 kHz": _hash(_in_odd_cuts(recognizer, long[::2], {"sample_rate_hz": 8000})),
    }


def _read(path: str) -> "array.array[float]":
    samples, rate_hz = soundfile.read(path, dtype="float32")
    if rate_hz != 16000 or samples.ndim != 1:
        raise SystemExit(f"{path}: expected one channel at 16 kHz")
    return array.array("f", samples.tobytes())


def _stream(recognizer: Any, options: dict[str, Any]) -> Any:
    """Options are a class of their own since the streams of all families have the same."""
    if hasattr(halfbyte, "StreamOptions"):
        return recognizer.stream(halfbyte.StreamOptions(**options))
    return recognizer.stream(**options)


def _at_once(recognizer: Any, samples: Any, options: dict[str, Any]) -> list[Any]:
    stream = _stream(recognizer, options)
    return _plain(stream.accept(samples) + stream.finish())


def _in_odd_cuts(recognizer: Any, samples: Any, options: dict[str, Any]) -> list[Any]:
    stream = _stream(recognizer, options)
    said = [event for part in _cut(samples) for event in stream.accept(part)]
    return _plain(said + stream.finish())


def _saved_and_restored(recognizer: Any, samples: Any, options: dict[str, Any]) -> list[Any]:
    stream, said = _stream(recognizer, options), []
    for number, part in enumerate(_cut(samples), 1):
        said += stream.accept(part)
        if number % SAVE_EVERY == 0:
            saved, stream = stream.save(), _stream(recognizer, options)
            stream.restore(saved)
    return _plain(said + stream.finish())


def _cut(samples: Any) -> Iterator[Any]:
    at = 0
    for count in itertools.cycle(ODD_CUTS):
        if at >= len(samples):
            return
        yield samples[at : at + count]
        at += count


def _plain(said: list[Any]) -> list[Any]:
    """What texts say, whatever else they come to hold and whatever other events there are."""
    return [
        [
            event.text,
            event.is_final,
            event.start_s,
            event.end_s,
            [dataclasses.astuple(word)[:4] for word in event.words],
            list(event.alternatives),
        ]
        for event in said
        if hasattr(event, "text")
    ]


def _hash(value: Any) -> str:
    return hashlib.sha256(repr(_bits(value)).encode()).hexdigest()


def _bits(value: Any) -> Any:
    """Tensors as bytes, dictionaries sorted by name."""
    if isinstance(value, Tensor):
        return value.dtype, tuple(value.shape), bytes(value.data)
    if isinstance(value, dict):
        return [(name, _bits(value[name])) for name in sorted(value)]
    return [_bits(item) for item in value] if isinstance(value, list) else value


if __name__ == "__main__":
    commands: dict[str, Callable[..., Any]] = {"isas": isas, "encoder": encoder, "events": events}
    json.dump(commands[sys.argv[1]](*sys.argv[2:]), sys.stdout)
