"""What a kind of model learns from: the labels beside the features of a batch."""

from abc import ABC, abstractmethod
from dataclasses import dataclass, fields, replace
from typing import ClassVar, Generic, Protocol, Self, TypeVar

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from halfbyte.data.augment import Samples
from halfbyte.data.fbank import FeatureConfig, log_mel, long_enough
from halfbyte.data.manifest import Utterance
from halfbyte.data.tokenizer import TokenConfig


@dataclass
class Batch:
    """Padded features; each kind of labels adds its own."""

    features: Tensor  # (B, T, F) float32
    num_frames: Tensor  # (B,) int64

    def __len__(self) -> int:
        return self.features.shape[0]

    def to(self, device: torch.device) -> Self:
        """The batch with its tensors on a device."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return replace(
            self, **{name: v.to(device) for name, v in values.items() if isinstance(v, Tensor)}
        )


@dataclass(frozen=True)
class Heard:
    """An utterance within the samples that a model hears: where, and at which speed.

    Attributes:
        start_s: where it begins.
        stretch: its length there over its length as recorded.
    """

    utterance: Utterance
    start_s: float = 0.0
    stretch: float = 1.0


@dataclass(frozen=True)
class Example:
    """Features of a recording, (T, F) float32, and what it holds, in order of time."""

    features: Tensor
    heard: list[Heard]


def padded(examples: list[Example]) -> tuple[Tensor, Tensor]:
    """Features (B, longest T, F) float32 and the frames of each, (B,) int64."""
    features = [example.features for example in examples]
    return pad_sequence(features, batch_first=True), torch.tensor([len(f) for f in features])


class Vocabulary(Protocol):
    """What a model's labels are, as a checkpoint keeps it."""

    @property
    def content(self) -> bytes:
        """The bytes of its file."""
        ...

    @property
    def tokens(self) -> list[str]:
        """The names of the labels, by number."""
        ...


V = TypeVar("V", bound=Vocabulary)


class DataNeeds(ABC, Generic[V]):
    """What a family learns from, and so the kind of its batches.

    Attributes:
        label_key: key of a manifest's lines that is needed beside the audio.
        file: name of the vocabulary in a checkpoint folder.
    """

    label_key: ClassVar[str]
    file: ClassVar[str]

    @abstractmethod
    def fit(self, utterances: list[Utterance], tokens: TokenConfig) -> V:
        """The vocabulary of a training corpus.

        Raises:
            ConfigError: the corpus has no labels, or not enough.
        """

    @abstractmethod
    def read(self, content: bytes) -> V:
        """The vocabulary of a checkpoint.

        Raises:
            ConfigError: it is damaged.
        """

    @abstractmethod
    def batch(self, examples: list[Example], vocabulary: V, config: FeatureConfig) -> Batch:
        """Features with their labels.

        Args:
            config: how the features were made.
        """

    def of_utterance(
        self, utterance: Utterance, samples: Samples, vocabulary: V, config: FeatureConfig
    ) -> Batch:
        """A recording alone, as a batch of one; its samples are (S,) float32."""
        frames = log_mel(long_enough(samples, config), config)
        return self.batch([Example(frames, [Heard(utterance)])], vocabulary, config)
