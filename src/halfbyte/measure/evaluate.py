"""Word error rate, speed and size of a model on a manifest."""

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import reduce
from operator import add
from pathlib import Path
from typing import Any

from halfbyte.audio_file import AudioFile
from halfbyte.data.manifest import Utterance
from halfbyte.listen.acoustic_model import AcousticModel
from halfbyte.listen.events import finals
from halfbyte.listen.options import EndpointRule, StreamOptions
from halfbyte.listen.recognizer import Recognizer
from halfbyte.listen.settings import families
from halfbyte.listen.transcript import as_text
from halfbyte.measure.memory import peak_rss_bytes
from halfbyte.scores.score import Score
from halfbyte.scores.words import Errors, count_errors

ONE_SEGMENT = EndpointRule(trailing_silence_ms=None)  # an utterance of a manifest is a segment


@dataclass
class Evaluation:
    """What a model made of a manifest."""

    spoken: Errors = field(default_factory=Errors)  # utterances with words
    silent: Errors = field(default_factory=Errors)  # utterances without; insertions: false words
    audio_s: float = 0.0
    seconds: float = 0.0
    transcripts: dict[str, str] = field(default_factory=dict)  # by utterance id

    def add(self, utterance: Utterance, heard: str, audio_s: float, seconds: float) -> None:
        """Count one utterance."""
        errors = count_errors(utterance.text, heard)
        if utterance.text:
            self.spoken += errors
        else:
            self.silent += errors
        self.audio_s += audio_s
        self.seconds += seconds
        self.transcripts[utterance.id] = heard

    def summary(self) -> dict[str, Any]:
        """The figures as plain numbers."""
        return {
            "utterances": self.spoken.num_utterances,
            "words": self.spoken.num_words,
            "wer": round(self.spoken.wer, 5),
            "substitutions": self.spoken.substitutions,
            "deletions": self.spoken.deletions,
            "insertions": self.spoken.insertions,
            "sentence_accuracy": round(self.spoken.sentence_accuracy, 5),
            "silent_utterances": self.silent.num_utterances,
            "false_words": self.silent.insertions,
            "audio_s": round(self.audio_s, 1),
            "rtf": round(self.seconds / max(self.audio_s, 1e-9), 5),
            "peak_rss_bytes": peak_rss_bytes(),
        }


def open_acoustic_model(path: Path) -> AcousticModel | Path:
    """A checkpoint folder, an ONNX folder or a .hb file, whichever the path is."""
    if not path.is_dir():
        return path
    from halfbyte.measure.other_models import CheckpointModel, OnnxModel

    return CheckpointModel(path) if _is_checkpoint(path) else OnnxModel(path)


def has_pipeline(path: Path) -> bool:
    """Whether streams run the model: of a checkpoint, if this build has its family's pipeline."""
    if not _is_checkpoint(path):
        return True
    from halfbyte.train.checkpoint import read_checkpoint_config

    return read_checkpoint_config(path).family in families()


def label_key(checkpoint: Path) -> str:
    """What manifests must hold to validate a checkpoint: its family says."""
    from halfbyte.train.checkpoint import family_of, read_checkpoint_config

    return family_of(read_checkpoint_config(checkpoint)).needs.label_key


def _is_checkpoint(path: Path) -> bool:
    """Whether a folder is a checkpoint or a run, which needs no training room to tell."""
    return any((path / name).exists() for name in ("weights.safetensors", "result"))


def evaluate(
    recognizer: Recognizer,
    utterances: list[Utterance],
    chunk_ms: int | None,
    mode: str | None,
) -> Iterator[Evaluation]:
    """Recognise every utterance as one segment; yields the figures so far after each."""
    result = Evaluation()
    for utterance in utterances:
        file = AudioFile(utterance.audio_path, utterance.channel)
        blocks = list(file)  # reading is no part of the speed
        start_s = time.perf_counter()
        stream = recognizer.stream(StreamOptions(chunk_ms, mode, ONE_SEGMENT, file.sample_rate_hz))
        events = [event for block in blocks for event in stream.accept(block)] + stream.finish()
        seconds = time.perf_counter() - start_s
        heard = as_text(finals(events))
        result.add(utterance, heard, sum(map(len, blocks)) / file.sample_rate_hz, seconds)
        yield result


def validate(checkpoint: Path, utterances: list[Utterance]) -> Iterator[Score]:
    """What a model without a recogniser gets right, as its family counts it; the score so far."""
    from halfbyte.data.audio import read_utterance
    from halfbyte.train.checkpoint import family_of, inputs_of, load_checkpoint

    config, vocabulary, model = load_checkpoint(checkpoint)
    family, features = family_of(config), config.features
    scores: list[Score] = []
    for utterance in utterances:
        samples = read_utterance(utterance, features.sample_rate_hz)
        batch = family.needs.of_utterance(utterance, samples, vocabulary, features)
        scores.append(family.validate(model, batch, inputs_of(config, vocabulary)))
        yield reduce(add, scores)
