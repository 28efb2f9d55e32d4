"""Batches of features and tokens from manifests, ready for a model."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from halfbyte.data.audio_store import AudioStore
from halfbyte.data.augment import (
    AugmentConfig,
    Samples,
    augment_samples,
    generator_for,
    mask_features,
)
from halfbyte.data.fbank import Fbank, FeatureConfig
from halfbyte.data.manifest import Utterance
from halfbyte.data.tokenizer import Tokenizer


@dataclass
class Batch:
    """A padded batch."""

    features: Tensor  # (B, T, F) float32
    num_frames: Tensor  # (B,) int64
    tokens: Tensor  # (B, L) int64
    num_tokens: Tensor  # (B,) int64
    texts: list[str]

    def to(self, device: torch.device) -> "Batch":
        """The batch with its tensors on a device."""
        return Batch(
            self.features.to(device),
            self.num_frames.to(device),
            self.tokens.to(device),
            self.num_tokens.to(device),
            self.texts,
        )


class Corpus:
    """Utterances with their audio, tokens and augmentation.

    Args:
        utterances: in a fixed order.
        audio: their samples.
        noises: noise recordings to add, each (S,) float32.
    """

    def __init__(
        self,
        utterances: list[Utterance],
        audio: AudioStore,
        tokenizer: Tokenizer,
        features: FeatureConfig,
        augment: AugmentConfig | None = None,
        noises: list[Samples] | None = None,
        seed: int = 0,
    ):
        self.utterances = utterances
        self._audio = audio
        self._tokenizer = tokenizer
        self._features = features
        self._fbank = Fbank(features)
        self._augment = augment
        self._noises = noises or []
        self._seed = seed
        self._shortest_samples = features.frame_length_samples + 40 * features.frame_shift_samples

    def batch(self, indices: list[int], epoch: int) -> Batch:
        """The batch of these utterances as the epoch hears them."""
        randoms = [generator_for(self._seed, epoch, i) for i in indices]
        waves = [self._samples(i, r) for i, r in zip(indices, randoms, strict=True)]
        padded = torch.zeros(len(waves), max(len(w) for w in waves))
        for row, wave in zip(padded, waves, strict=True):
            row[: len(wave)] = torch.from_numpy(wave)
        with torch.no_grad():
            features = self._fbank(padded)
        num_frames = [self._features.num_frames(len(w)) for w in waves]
        if self._augment:
            for row, frames, random in zip(features, num_frames, randoms, strict=True):
                mask_features(row, frames, self._augment, random)
        return self._labelled(indices, features, torch.tensor(num_frames))

    def recorded(self, index: int) -> Samples:
        """Samples as recorded, with silence after a clip too short for the model."""
        samples = self._audio[index]
        missing = self._shortest_samples - len(samples)
        return np.pad(samples, (0, missing)) if missing > 0 else samples

    def _samples(self, index: int, random: np.random.Generator) -> Samples:
        samples = self.recorded(index)
        if not self._augment:
            return samples
        return augment_samples(samples, self._noises, self._augment, random)

    def _labelled(self, indices: list[int], features: Tensor, num_frames: Tensor) -> Batch:
        texts = [self.utterances[i].text for i in indices]
        tokens = [torch.tensor(self._tokenizer.encode(t), dtype=torch.int64) for t in texts]
        return Batch(
            features,
            num_frames,
            torch.nn.utils.rnn.pad_sequence(tokens, batch_first=True),
            torch.tensor([len(t) for t in tokens]),
            texts,
        )


class EpochBatches(Dataset[Batch]):
    """The batches of one epoch for one of several processes.

    Args:
        corpus: what to read.
        batches: utterance numbers of every batch of the epoch, in order.
        epoch: which draws of augmentation the epoch hears.
        rank: of this process.
        world_size: number of processes.
        equal_steps: whether all processes get the same number of batches, as training needs;
            the few that are left over are then not heard in this epoch. Else each batch is
            read, by one process.
    """

    def __init__(
        self,
        corpus: Corpus,
        batches: list[list[int]],
        epoch: int,
        rank: int = 0,
        world_size: int = 1,
        equal_steps: bool = True,
    ):
        if equal_steps:
            first = range(rank, max(1, len(batches) // world_size) * world_size, world_size)
            self._batches = [batches[i % len(batches)] for i in first]
        else:  # fewer batches than processes: each reads them all, and shares stay as they are
            self._batches = batches[rank::world_size] if len(batches) >= world_size else batches
        self._corpus = corpus
        self._epoch = epoch

    def __len__(self) -> int:
        return len(self._batches)

    def __getitem__(self, number: int) -> Batch:
        return self._corpus.batch(self._batches[number], self._epoch)


class _NotYetDone(Sampler[int]):
    """Batch numbers in order, from the first that an interrupted run has not done.

    Its length is that of the whole epoch: Lightning counts the steps done in it.
    """

    def __init__(self, num_batches: int, num_done: int):
        self._num_batches, self._num_done = num_batches, num_done

    def __len__(self) -> int:
        return self._num_batches

    def __iter__(self) -> Iterator[int]:
        return iter(range(self._num_done, self._num_batches))


def batch_loader(batches: EpochBatches, num_done: int = 0, workers: int = 0) -> DataLoader[Batch]:
    """Reads batches in order, in this process or ahead of it in `workers` processes.

    Args:
        num_done: batches of this process that an interrupted run has behind it.
    """
    sampler = _NotYetDone(len(batches), num_done)
    return DataLoader(batches, batch_size=None, sampler=sampler, num_workers=workers)
