"""Recordings with words at known places: what a keyword spotter learns from."""

from dataclasses import dataclass

import torch
from torch import Tensor

from halfbyte.data.fbank import FeatureConfig
from halfbyte.data.frames import NOTHING, Frames, Labels
from halfbyte.data.manifest import Utterance
from halfbyte.data.needs import Batch, DataNeeds, Example, Heard, padded
from halfbyte.data.tokenizer import TokenConfig


@dataclass
class KeywordBatch(Batch):
    """A padded batch with the words in it.

    Attributes:
        words: (M, 4) int64, of each word with a place: recording, label, first and last frame.
        is_said: (B, V) bool, whether the text has the label at a place that nobody knows.
    """

    words: Tensor
    is_said: Tensor


class Keywords(DataNeeds[Labels]):
    """Recordings with `intervals` of keywords, an empty list where there are none.

    A recording whose `text` has a keyword without an interval tells nothing of this keyword: its
    sound is no example against it.
    """

    label_key, file = Frames.label_key, Frames.file

    def fit(self, utterances: list[Utterance], tokens: TokenConfig) -> Labels:
        """All labels of the intervals."""
        return Frames().fit(utterances, tokens)

    def read(self, content: bytes) -> Labels:
        """Stored labels."""
        return Frames().read(content)

    def batch(
        self, examples: list[Example], vocabulary: Labels, config: FeatureConfig
    ) -> KeywordBatch:
        """Features with the words of each recording."""
        words = [
            word
            for row, example in enumerate(examples)
            for heard in example.heard
            for word in _words(row, heard, len(example.features), vocabulary, config)
        ]
        is_said = [[_is_said(label, e.heard) for label in vocabulary.tokens] for e in examples]
        table = torch.tensor(words, dtype=torch.int64).reshape(-1, 4)
        return KeywordBatch(*padded(examples), table, torch.tensor(is_said))


def _words(
    row: int, heard: Heard, num_frames: int, names: Labels, config: FeatureConfig
) -> list[tuple[int, int, int, int]]:
    words = []
    for interval in heard.utterance.intervals:
        label = names.number_of(interval.label, heard.utterance)
        first, last = (
            round(1000 * (heard.start_s + heard.stretch * at_s) / config.frame_shift_ms)
            for at_s in (interval.start_s, interval.end_s)
        )
        words.append((row, label, min(first, num_frames - 1), min(last, num_frames - 1)))
    return words


def _is_said(label: str, heard: list[Heard]) -> bool:
    return label != NOTHING and any(
        f" {label} " in f" {one.utterance.text} "
        and all(interval.label != label for interval in one.utterance.intervals)
        for one in heard
    )
