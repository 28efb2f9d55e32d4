"""Recordings with a label for each feature frame: what detectors learn from."""

import json
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from halfbyte.data.fbank import FeatureConfig
from halfbyte.data.manifest import Utterance
from halfbyte.data.needs import Batch, DataNeeds, Example, padded
from halfbyte.data.tokenizer import TokenConfig
from halfbyte.errors import ConfigError

NOTHING = "<nothing>"  # label 0: frames of no interval
PADDING = -1  # label of frames that are no frames


@dataclass
class FrameBatch(Batch):
    """A padded batch with what each frame holds."""

    labels: Tensor  # (B, T) int64, PADDING after the end


@dataclass(frozen=True)
class Labels:
    """Names of labels by number; number 0 is NOTHING."""

    tokens: list[str]

    @property
    def content(self) -> bytes:
        """As JSON."""
        return json.dumps(self.tokens, ensure_ascii=False).encode()

    def number_of(self, label: str, utterance: Utterance) -> int:
        """The number of a label of an utterance.

        Raises:
            ConfigError: the label is none of these.
        """
        if label not in self.tokens:
            raise ConfigError(
                f"{utterance.id}: label {label!r} is not one of the model's; "
                f"expected one of {', '.join(self.tokens[1:])}"
            )
        return self.tokens.index(label)


class Frames(DataNeeds[Labels]):
    """Recordings with labelled intervals of time."""

    label_key, file = "intervals", "labels.json"

    def fit(self, utterances: list[Utterance], tokens: TokenConfig) -> Labels:
        """All labels of the intervals."""
        names = {interval.label for u in utterances for interval in u.intervals}
        if not names:
            raise ConfigError("no interval has a label; does data.train name manifests with them?")
        return Labels([NOTHING, *sorted(names)])

    def read(self, content: bytes) -> Labels:
        """Stored labels."""
        try:
            names = json.loads(content)
        except ValueError as error:
            raise ConfigError(f"the labels are damaged: {error}") from error
        if not isinstance(names, list):
            raise ConfigError(f"the labels are a {type(names).__name__}; expected a list of names")
        return Labels([str(name) for name in names])

    def batch(
        self, examples: list[Example], vocabulary: Labels, config: FeatureConfig
    ) -> FrameBatch:
        """Features with the label of the interval that holds the middle of each frame."""
        labels = [_labels(example, vocabulary, config) for example in examples]
        filled = pad_sequence(labels, batch_first=True, padding_value=PADDING)
        return FrameBatch(*padded(examples), filled)


def _labels(example: Example, names: Labels, config: FeatureConfig) -> Tensor:
    num_frames = len(example.features)
    middle_ms = torch.arange(num_frames) * config.frame_shift_ms + config.frame_length_ms / 2
    labels = torch.zeros(num_frames, dtype=torch.int64)
    for one in example.heard:
        for interval in one.utterance.intervals:
            label = names.number_of(interval.label, one.utterance)
            start_ms, end_ms = (
                1000 * (one.start_s + one.stretch * at) for at in (interval.start_s, interval.end_s)
            )
            is_inside = (middle_ms >= start_ms) & (middle_ms < end_ms)
            labels[is_inside] = label
    return labels
