"""The corpora of a training run: manifests, decoded audio, tokenizer, loaders."""

import os
from pathlib import Path

import lightning
import torch

from halfbyte.data.audio_store import AudioStore
from halfbyte.data.dataset import Batch, Corpus, EpochLoader
from halfbyte.data.fbank import Fbank
from halfbyte.data.manifest import Utterance, read_manifest
from halfbyte.data.tokenizer import Tokenizer
from halfbyte.errors import ConfigError
from halfbyte.train.config import TrainConfig

_NORM_UTTERANCES = 1000  # enough for mean and variance of a feature


def data_root(config: TrainConfig) -> Path:
    """Folder that manifests are relative to: `data.root`, else the variable HALFBYTE_DATA.

    Raises:
        ConfigError: neither is set.
    """
    root = config.data.root or os.environ.get("HALFBYTE_DATA", "")
    if not root:
        raise ConfigError("where is the data? set data.root=FOLDER or the variable HALFBYTE_DATA")
    return Path(root).expanduser()


def read_utterances(config: TrainConfig, manifests: list[str]) -> list[Utterance]:
    """All utterances of some manifests, in order."""
    root = data_root(config)
    return [u for manifest in manifests for u in read_manifest(root / manifest)]


class Corpora(lightning.LightningDataModule):
    """Training and development data of a run, a new order every epoch."""

    def __init__(self, config: TrainConfig, tokenizer: Tokenizer):
        super().__init__()
        self.config = config
        heard = [u for u in read_utterances(config, config.data.train)
                 if u.duration_s <= config.data.longest_s]
        noises = self._audio(read_utterances(config, config.data.noise))
        num_noises = len(noises[0])
        self._train = Corpus(
            *self._audio(heard),
            tokenizer,
            config.features,
            config.augment,
            [noises[1][i] for i in range(num_noises)],
            config.seed,
        )
        dev = read_utterances(config, config.data.dev)
        self._dev = Corpus(*self._audio(dev), tokenizer, config.features)

    def _audio(self, utterances: list[Utterance]) -> tuple[list[Utterance], AudioStore]:
        folder = Path(self.config.data.cache).expanduser()
        return utterances, AudioStore(utterances, folder, self.config.features.sample_rate_hz)

    def train_dataloader(self) -> EpochLoader:
        """Batches of the current epoch for this process."""
        return EpochLoader(
            self._train,
            self.config.data.batch_s,
            self.config.seed,
            self.trainer.current_epoch,
            self.trainer.global_rank,
            self.trainer.world_size,
        )

    def val_dataloader(self) -> EpochLoader:
        """Development batches, without augmentation."""
        return EpochLoader(
            self._dev,
            self.config.data.batch_s,
            self.config.seed,
            0,
            self.trainer.global_rank,
            self.trainer.world_size,
        )

    def transfer_batch_to_device(self, batch: Batch, device: torch.device, _: int) -> Batch:
        return batch.to(device)

    def feature_statistics(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Mean and inverse deviation of each feature bin over training speech as recorded.

        Returns:
            (F,) float32 each.
        """
        fbank = Fbank(self.config.features)
        stride = max(1, len(self._train.utterances) // _NORM_UTTERANCES)
        total, squares, count = 0.0, 0.0, 0
        for i in range(0, len(self._train.utterances), stride):
            frames = fbank(torch.from_numpy(self._train.recorded(i))[None])[0].double()
            total, squares = total + frames.sum(0), squares + frames.square().sum(0)
            count += frames.shape[0]
        mean = torch.as_tensor(total / count)
        deviation = (torch.as_tensor(squares / count) - mean.square()).clamp_min(1e-10).sqrt()
        return mean.float(), deviation.reciprocal().float()


