"""How far the times of words are from where they are said; lines in bench/results/word-times.jsonl.

    python bench/word_times.py src/halfbyte/assets/en-voice.hb

The start of wuw2/test's key phrases, alone and inside sentences, against the times that were set by
hand; then everything once more with 1 s of noise at -60 dBFS in front, which must move every word
by 1 s, give or take an encoder step. librispeech_clean5/test has no times: its words only move.
"""

import argparse
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from difflib import SequenceMatcher
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from origin import RESULTS, ROOT, origin, table

from halfbyte.data.audio import read_audio
from halfbyte.listen.acoustic_model import AcousticModel
from halfbyte.listen.events import Word, finals
from halfbyte.listen.options import EndpointRule, StreamOptions
from halfbyte.listen.recognizer import Recognizer
from halfbyte.listen.settings import ModelSettings
from halfbyte.measure.result_lines import append_line

RATE_HZ = 16000
CHUNKS_MS = (0, 80, 160, 240, 320, 400, 480, 560, 640, 720, 800, 880, 960)
CORPORA = {"wuw2": 220, "librispeech_clean5": 40}  # utterances taken
ONE_SEGMENT = EndpointRule(trailing_silence_ms=None)
MOVED_S = 1.0
PHRASES = ("operator", "think engine", "onword", "wildfire", "voyager")
ROOM_SAMPLES = 1600  # before the first sample, and after the last
Samples = NDArray[np.float32]


class CountingModel:
    """An acoustic model that counts the encoder steps that it computes."""

    def __init__(self, model: AcousticModel):
        self._model = model
        self.num_steps = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._model, name)

    def run(self, graph: str, inputs: dict[str, Any], outputs: list[str], state: Any) -> list[Any]:
        """One run of a graph."""
        found = self._model.run(graph, inputs, outputs, state)
        if graph == "encoder":
            shape = memoryview(found[0]).shape
            assert shape is not None
            self.num_steps += shape[1]
        return found


@dataclass
class Errors:
    """What a chunk size gives on a corpus."""

    starts_s: dict[str, list[float]] = field(default_factory=lambda: {"alone": [], "sentence": []})
    num_outside: int = 0
    moves_s: list[float] = field(default_factory=list)

    def add_phrase(self, entry: dict[str, Any], spoken: list[Word]) -> None:
        """Compare a key phrase, where it was heard, with its times by hand."""
        phrases = (p for p in PHRASES if p in entry["text"])
        phrase = next(phrases, "").split()
        texts = [word.text for word in spoken]
        places = [i for i in range(len(texts)) if phrase and texts[i : i + len(phrase)] == phrase]
        if len(places) != 1:
            return
        first, last = spoken[places[0]], spoken[places[0] + len(phrase) - 1]
        start_s, end_s = entry["keyword_start"], entry["keyword_end"]
        kind = "alone" if entry["text"].split() == phrase else "sentence"
        self.starts_s[kind].append(first.start_s - start_s)
        self.num_outside += last.end_s < start_s or first.start_s > end_s

    def figures(self, step_s: float) -> dict[str, Any]:
        """The figures of a result line."""
        found: dict[str, Any] = {}
        for kind, errors in self.starts_s.items():
            found[f"{kind}_words"] = len(errors)
            for name, share in (("median_s", 0.5), ("p90_s", 0.9)):
                found[f"{kind}_{name}"] = quantile(np.abs(errors), share)
        off = [abs(moved - MOVED_S) > step_s + 1e-6 for moved in self.moves_s]
        return found | {
            "outside": self.num_outside,
            "moved_words": len(off),
            "moved_median_s": quantile(np.array(self.moves_s), 0.5),
            "moved_wrong": sum(off),
        }


def quantile(values: NDArray[np.float64], share: float) -> float | None:
    """A quantile, rounded; none of nothing."""
    return round(float(np.quantile(values, share)), 3) if values.size else None


def matched(words: list[Word], later: list[Word]) -> Iterator[tuple[Word, Word]]:
    """The words that two results share, in order."""
    texts, others = ([word.text for word in some] for some in (words, later))
    for a, b, size in SequenceMatcher(None, texts, others, autojunk=False).get_matching_blocks():
        yield from zip(words[a : a + size], later[b : b + size], strict=True)


def utterances(corpus: str, limit: int) -> list[tuple[dict[str, Any], Samples]]:
    """Entries of a test manifest and their samples."""
    data = Path(os.environ.get("HALFBYTE_DATA") or ROOT.parent / "shared" / "speech") / corpus
    lines = (data / "test.jsonl").read_text(encoding="utf-8").splitlines()
    entries = [json.loads(line) for line in lines][:limit]
    return [(entry, read_audio(data / entry["audio_filepath"], RATE_HZ)) for entry in entries]


def words_of(recognizer: Recognizer, samples: Samples, chunk_ms: int) -> list[Word]:
    """The words of one stream."""
    stream = recognizer.stream(StreamOptions(chunk_ms, endpoint=ONE_SEGMENT))
    events = stream.accept(samples) + stream.finish()
    return [word for final in finals(events) for word in final.words]


def line_of(recognizer: Recognizer, corpus: str, clips: Any, chunk_ms: int) -> dict[str, Any]:
    """The result line of a corpus at a chunk size."""
    lead = np.random.default_rng(0).standard_normal(round(MOVED_S * RATE_HZ)) * 1e-3
    model = CountingModel(recognizer.model)
    errors, counted, num_own = Errors(), Recognizer(model), 0
    for entry, samples in clips:
        spoken = words_of(counted, samples, chunk_ms)
        num_own += num_steps(len(samples), recognizer.model.settings)
        later = words_of(recognizer, np.concatenate([lead.astype(np.float32), samples]), chunk_ms)
        errors.moves_s += [b.start_s - a.start_s for a, b in matched(spoken, later)]
        if entry.get("keyword_start") is not None:
            errors.add_phrase(entry, spoken)
    passes = 2 if chunk_ms == 0 else 1
    again = model.num_steps / num_own - passes
    found = errors.figures(recognizer.model.settings.step_ms / 1000)
    return {"corpus": corpus, "chunk_ms": chunk_ms, **found, "steps_again": round(again, 3)}


def num_steps(num_samples: int, settings: ModelSettings) -> int:
    """Encoder steps of a segment, those of the room around it included."""
    num_frames = (num_samples + 2 * ROOM_SAMPLES - 400) // 160 + 1
    return (num_frames - settings.overlap_frames) // settings.subsampling


def main() -> None:
    """Measure, print a table, append the lines."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("model", type=Path, metavar="MODEL", help=".hb file")
    parser.add_argument("--trial", action="store_true", help="five utterances each, no lines")
    options = parser.parse_args()
    recognizer = Recognizer(options.model)
    lines = []
    for corpus, limit in CORPORA.items():
        clips = utterances(corpus, 5 if options.trial else limit)
        lines += [line_of(recognizer, corpus, clips, chunk_ms) for chunk_ms in CHUNKS_MS]
    print(table(list(lines[0]), [[str(value) for value in line.values()] for line in lines]))
    for line in lines:
        print(json.dumps(line))
        if not options.trial:
            append_line(
                RESULTS / "word-times.jsonl", {"model": options.model.stem, **line} | origin()
            )


if __name__ == "__main__":
    main()
