"""Batches of features and labels from manifests, ready for a model."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch.utils.data import DataLoader, Dataset

from halfbyte.data.audio_store import AudioStore
from halfbyte.data.augment import (
    AugmentConfig,
    Samples,
    change_scene,
    change_voice,
    generator_for,
    mask_features,
)
from halfbyte.data.fbank import FeatureConfig, log_mel, long_enough, num_frames
from halfbyte.data.manifest import Utterance
from halfbyte.data.needs import Batch, DataNeeds, Example, Heard, Vocabulary
from halfbyte.data.surroundings import NOBODY, Surroundings, background, draw_surroundings


class Corpus:
    """Utterances with their audio, labels and augmentation.

    Args:
        utterances: in a fixed order.
        audio: their samples.
        needs: which labels batches hold.
        vocabulary: of the labels.
        noises: noise recordings to add, each (S,) float32.
    """

    def __init__(
        self,
        utterances: list[Utterance],
        audio: AudioStore,
        needs: DataNeeds[Any],
        vocabulary: Vocabulary,
        features: FeatureConfig,
        augment: AugmentConfig | None = None,
        noises: list[Samples] | None = None,
        seed: int = 0,
    ):
        self.utterances = utterances
        self._audio = audio
        self._needs, self._vocabulary = needs, vocabulary
        self._features = features
        self._augment = augment
        self._noises = noises or []
        self._seed = seed
        self._around: tuple[int, Surroundings] | None = None
        self._left_out: list[int] = []

    def leave_out(self, numbers: list[int]) -> None:
        """Utterances that no batch shall hold, and that are not joined to others."""
        self._left_out, self._around = numbers, None

    def batch(self, indices: list[int], epoch: int) -> Batch:
        """The batch of these utterances as the epoch hears them."""
        around = self._surroundings(epoch)
        randoms = [generator_for(self._seed, epoch, i) for i in indices]
        sounds = [self._sound(i, around, r) for i, r in zip(indices, randoms, strict=True)]
        examples = [Example(log_mel(wave, self._features), heard) for wave, heard in sounds]
        if self._augment:
            for example, random in zip(examples, randoms, strict=True):
                mask_features(example.features, self._augment, random)
        return self._needs.batch(examples, self._vocabulary, self._features)

    def recorded(self, index: int) -> Samples:
        """Samples as recorded, with silence after a clip too short for the model."""
        return long_enough(self._audio[index], self._features)

    def num_frames(self, index: int) -> int:
        """Feature frames of an utterance as recorded."""
        return num_frames(self._audio.num_samples(index), self._features)

    def durations_s(self, epoch: int) -> list[float]:
        """How long each utterance is in the epoch, with what stands around it.

        Infinite for one that is left out.
        """
        recorded_s = self._recorded_s()
        around = self._surroundings(epoch)
        return (around.durations_s(recorded_s) if around else recorded_s).tolist()

    def _recorded_s(self) -> NDArray[np.float64]:
        seconds = np.array([u.duration_s for u in self.utterances], np.float64)
        seconds[self._left_out] = np.inf
        return seconds

    def _surroundings(self, epoch: int) -> Surroundings | None:
        if not self._augment:
            return None
        if self._around is None or self._around[0] != epoch:
            drawn = draw_surroundings(self._recorded_s(), self._augment, self._seed, epoch)
            self._around = (epoch, drawn)
        return self._around[1]

    def _sound(
        self, index: int, around: Surroundings | None, random: np.random.Generator
    ) -> tuple[Samples, list[Heard]]:
        """Samples as the epoch hears them, and which utterances lie where in them."""
        recorded = self.recorded(index)
        if not self._augment or not around:
            return recorded, [Heard(self.utterances[index])]
        rate_hz = self._features.sample_rate_hz
        samples = change_voice(recorded, rate_hz, self._augment, random)
        before, after = (
            np.zeros(int(seconds[index] * rate_hz), np.float32)
            for seconds in (around.before_s, around.after_s)
        )
        following = around.following[index]
        parts = [before, samples, after]
        heard = [self._heard(index, before, samples, recorded)]
        if following != NOBODY:
            joined = self.recorded(following)
            parts.append(change_voice(joined, rate_hz, self._augment, random))
            heard.append(self._heard(following, np.concatenate(parts[:-1]), parts[-1], joined))
        speech = slice(len(before), len(before) + len(samples))
        samples = np.concatenate(parts)
        if len(before) or len(after):
            level_db = random.uniform(*self._augment.background_db)
            samples += background(len(samples), rate_hz, level_db, random)
        return change_scene(samples, self._noises, self._augment, random, speech), heard

    def _heard(self, index: int, before: Samples, samples: Samples, recorded: Samples) -> Heard:
        start_s = len(before) / self._features.sample_rate_hz
        return Heard(self.utterances[index], start_s, len(samples) / len(recorded))


class EpochBatches(Dataset[Batch]):
    """The batches of one epoch for one of several processes.

    Args:
        corpus: what to read.
        batches: utterance numbers of every batch that the epoch has left, in order.
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


def batch_loader(batches: EpochBatches, workers: int = 0) -> DataLoader[Batch]:
    """Reads batches in order, in this process or ahead of it in `workers` processes."""
    return DataLoader(batches, batch_size=None, num_workers=workers)
