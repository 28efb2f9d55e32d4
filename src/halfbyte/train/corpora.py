"""The corpora of a training run: manifests, decoded audio, tokenizer, loaders."""

import hashlib
import json
import os
import sys
from collections.abc import Callable
from itertools import accumulate
from pathlib import Path
from typing import Any

import lightning
import torch
from torch.utils.data import DataLoader

from halfbyte.data.audio_store import AudioStore
from halfbyte.data.batches import draw_batches
from halfbyte.data.dataset import Corpus, EpochBatches, batch_loader
from halfbyte.data.fbank import log_mel
from halfbyte.data.manifest import Utterance, read_manifest
from halfbyte.data.needs import Batch, Vocabulary
from halfbyte.errors import ConfigError, ManifestError
from halfbyte.families.registry import find_family
from halfbyte.train.config import AnyConfig
from halfbyte.train.run_state import LAST, Position

_NORM_UTTERANCES = 1000  # enough for mean and variance of a feature


def data_root(config: AnyConfig) -> Path:
    """Folder that manifests are relative to: `data.root`, else the variable HALFBYTE_DATA.

    Raises:
        ConfigError: neither is set.
    """
    root = config.data.root or os.environ.get("HALFBYTE_DATA", "")
    if not root:
        raise ConfigError("where is the data? set data.root=FOLDER or the variable HALFBYTE_DATA")
    return Path(root).expanduser()


def read_utterances(
    config: AnyConfig, manifests: list[str], skipped: list[ManifestError] | None = None
) -> list[Utterance]:
    """All utterances of some manifests, in order.

    Args:
        skipped: takes the mistakes of bad lines if `data.skip_bad` leaves these out.
    """
    root = data_root(config)
    bad = ([] if skipped is None else skipped) if config.data.skip_bad else None
    key = find_family(config.family).needs.label_key
    return [u for manifest in manifests for u in read_manifest(root / manifest, bad, key)]


class Corpora(lightning.LightningDataModule):
    """Training and development data of a run, a new order every epoch.

    Args:
        is_fresh: whether the model starts from nothing: its family may then hear short ones first.
        start: where the run goes on.

    Raises:
        ConfigError: there is nothing to train on, or the start lies outside of it.
    """

    def __init__(
        self,
        config: AnyConfig,
        vocabulary: Vocabulary,
        is_fresh: bool,
        start: Position = Position(),  # noqa: B008 (frozen)
    ):
        super().__init__()
        self.config, self.start = config, start
        self._is_fresh = is_fresh
        self.fingerprints: dict[str, list[Any]] = {}
        skipped: list[ManifestError] = []
        heard = [
            u
            for u in read_utterances(config, config.data.train, skipped)
            if u.duration_s <= config.data.longest_s
        ]
        if not heard:
            raise ConfigError("nothing to train on: data.train names no recording short enough")
        needs = find_family(config.family).needs
        noises = self._audio("noise", read_utterances(config, config.data.noise, skipped))
        num_noises = len(noises[0])
        self._train = Corpus(
            *self._audio("train", heard),
            needs,
            vocabulary,
            config.features,
            config.augment,
            [noises[1][i] for i in range(num_noises)],
            config.seed,
        )
        dev = read_utterances(config, config.data.dev, skipped)
        if skipped:
            print(f"{len(skipped)} bad lines left out; the first: {skipped[0]}", file=sys.stderr)
        self._dev = Corpus(*self._audio("dev", dev), needs, vocabulary, config.features)
        self._left: list[list[int]] = []

    def _audio(self, name: str, utterances: list[Utterance]) -> tuple[list[Utterance], AudioStore]:
        folder = Path(self.config.data.cache).expanduser()
        store = AudioStore(utterances, folder, self.config.features.sample_rate_hz)
        self.fingerprints[name] = _fingerprint(utterances, store)
        return utterances, store

    def train_dataloader(self) -> DataLoader[Batch]:
        """Batches of the current epoch for this process, less what an interrupted run has done."""
        epoch = self._running.current_epoch
        batches = self._batches(self._train, epoch)
        self._left = batches[self._num_batches_done(batches, epoch) :]
        return self._loader(self._train, self._left, epoch, equal_steps=True)

    def val_dataloader(self) -> DataLoader[Batch]:
        """Development batches, without augmentation."""
        return self._loader(self._dev, self._batches(self._dev, 0), 0, equal_steps=False)

    def _loader(
        self, corpus: Corpus, batches: list[list[int]], epoch: int, equal_steps: bool
    ) -> DataLoader[Batch]:
        rank, world_size = self._running.global_rank, self._running.world_size
        share = EpochBatches(corpus, batches, epoch, rank, world_size, equal_steps)
        return batch_loader(share, self.config.data.workers)

    def _batches(self, corpus: Corpus, epoch: int) -> list[list[int]]:
        durations_s = corpus.durations_s(epoch)
        data, seed = self.config.data, self.config.seed
        short_first = self._is_fresh and epoch == 0 and find_family(self.config.family).short_first
        return draw_batches(durations_s, data.batch_s, seed, epoch, short_first)

    def _num_batches_done(self, batches: list[list[int]], epoch: int) -> int:
        """Of an epoch, before this call of the run; by all processes together."""
        done = self.start.utterances if epoch == self.start.epoch else 0
        ends = list(accumulate(map(len, batches), initial=0))
        if done not in ends[:-1]:
            raise ConfigError(f"{LAST} is damaged: no batch of the run begins at {self.start}")
        return ends.index(done)

    def position(self, num_steps: int) -> Position:
        """Where the run stands after so many steps of this call in the current epoch."""
        epoch = self._running.current_epoch
        before = self.start.utterances if epoch == self.start.epoch else 0
        done = self._left[: num_steps * self._running.world_size]
        return Position(epoch, before + sum(map(len, done)))

    def num_steps(self, position: Position) -> int:
        """Steps up to a position, made by as many processes as there are now.

        One run on one number of processes makes just these steps; schedules count in them, so
        that they too go on where they stopped if the number changes.
        """
        world_size = self._running.world_size
        counts = [len(self._batches(self._train, epoch)) for epoch in range(position.epoch)]
        steps = sum(max(1, count // world_size) for count in counts)
        if position.utterances:
            batches = self._batches(self._train, position.epoch)
            steps += self._num_batches_done(batches, position.epoch) // world_size
        return steps

    @property
    def _running(self) -> lightning.Trainer:
        """The trainer, which takes the corpora as it begins."""
        assert self.trainer is not None
        return self.trainer

    def transfer_batch_to_device(self, batch: Batch, device: torch.device, _: int) -> Batch:
        return batch.to(device)

    def leave_out_unlearnable(self, reason_of: Callable[[str, int], str]) -> list[str]:
        """Leave out training utterances that cannot be learned; returns each with the reason.

        Args:
            reason_of: why a text cannot be learned from so many feature frames; empty if it can.

        Raises:
            ConfigError: none is left.
        """
        found: dict[int, str] = {}
        for number, one in enumerate(self._train.utterances):
            if reason := reason_of(one.text, self._train.num_frames(number)):
                found[number] = f"{one.id} ({one.text[:40]!r}, {one.duration_s:g} s): {reason}"
        reasons = list(found.values())
        if len(found) == len(self._train.utterances):
            raise ConfigError(
                f"nothing to train on: all {len(found)} utterances of data.train are too short for "
                f"their texts; the first: {reasons[0]}"
            )
        self._train.leave_out(list(found))
        return reasons

    def feature_statistics(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Mean and inverse deviation of each feature bin over training speech as recorded.

        Returns:
            (F,) float32 each.
        """
        stride = max(1, len(self._train.utterances) // _NORM_UTTERANCES)
        total, squares, count = torch.zeros(()), torch.zeros(()), 0
        for i in range(0, len(self._train.utterances), stride):
            frames = log_mel(self._train.recorded(i), self.config.features).double()
            total, squares = total + frames.sum(0), squares + frames.square().sum(0)
            count += frames.shape[0]
        mean = total / count
        deviation = (squares / count - mean.square()).clamp_min(1e-10).sqrt()
        return mean.float(), deviation.reciprocal().float()


def _fingerprint(utterances: list[Utterance], audio: AudioStore) -> list[Any]:
    """How many utterances, and a digest of what is said in them and how long they are."""
    digest = hashlib.sha256()
    for number, one in enumerate(utterances):
        facts = [one.id, one.text, one.duration_s, str(one.intervals), audio.num_samples(number)]
        facts += [] if one.channel is None else [one.channel]
        digest.update(json.dumps(facts).encode())
    return [len(utterances), digest.hexdigest()]
