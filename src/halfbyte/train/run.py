"""A training run from configuration to checkpoint folder, resumable at any moment."""

import dataclasses
import io
import json
import logging
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import lightning
import torch
from lightning.pytorch.callbacks import Callback, ModelCheckpoint, TQDMProgressBar
from lightning.pytorch.plugins.io import TorchCheckpointIO

from halfbyte.data.tokenizer import Tokenizer, train_tokenizer
from halfbyte.errors import ConfigError
from halfbyte.files import write_whole
from halfbyte.train.checkpoint import (
    CONFIG,
    TOKENIZER,
    build_model,
    load_weights,
    raise_if_no_checkpoint,
    save_checkpoint,
)
from halfbyte.train.config import TrainConfig, dump_config, load_config
from halfbyte.train.corpora import Corpora, read_utterances
from halfbyte.train.distillation import read_teacher
from halfbyte.train.task import U2Task

LAST = "last.ckpt"
_PRECISIONS = ("bf16-mixed", "32-true")  # fp16 would need its losses scaled
_SHAPING = ("features", "tokens", "model", "quantization")  # sections that say what weights are


def train(config: TrainConfig, folder: Path, start_from: Path | None = None) -> Path:
    """Train, or go on where an earlier call with this folder stopped.

    Args:
        config: the whole configuration.
        folder: of the run; holds checkpoints, `metrics.jsonl` and at the end the result.
        start_from: checkpoint folder whose tokenizer and weights a new run starts from.

    Returns:
        The checkpoint folder with the averaged weights.

    Raises:
        ConfigError: the folder holds a run of another model, or a setting is out of its range.
    """
    _quieten()
    if config.loop.precision not in _PRECISIONS:
        known = " or ".join(_PRECISIONS)
        raise ConfigError(f"loop.precision is {config.loop.precision}; expected {known}")
    _refuse_another_model(config, folder)
    if config.loop.threads:
        torch.set_num_threads(config.loop.threads)
    lightning.seed_everything(config.seed)
    tokenizer = _tokenizer(config, folder, start_from)
    model = build_model(config, len(tokenizer.tokens))
    if start_from:
        load_weights(model, start_from)
    teacher = read_teacher(config.distillation, tokenizer)
    corpora = Corpora(config, tokenizer, is_fresh=start_from is None)
    # A mistake in the configuration has shown by now, and leaves no folder behind.
    write_whole(folder / TOKENIZER, tokenizer.model)
    write_whole(folder / CONFIG, dump_config(config).encode())
    if not start_from:
        mean, inverse_deviation = corpora.feature_statistics()
        model.encoder.feature_norm.mean.copy_(mean)
        model.encoder.feature_norm.inverse_deviation.copy_(inverse_deviation)
    task = U2Task(model, tokenizer, config, teacher)
    last = folder / LAST
    trainer = _trainer(config, folder)
    trainer.fit(task, corpora, ckpt_path=last if last.exists() else None, weights_only=False)
    result = folder / "result"
    if trainer.is_global_zero:
        save_checkpoint(result, config, tokenizer, _average(folder, config.loop.average_last))
    return result


def _refuse_another_model(config: TrainConfig, folder: Path) -> None:
    """A run goes on only as the model that it began as."""
    if not (folder / LAST).exists():
        return
    began = load_config(folder / CONFIG)
    for section in _SHAPING:
        then = dict(_settings(section, dataclasses.asdict(getattr(began, section))))
        for key, value in _settings(section, dataclasses.asdict(getattr(config, section))):
            if then.get(key) != value:
                raise ConfigError(
                    f"{folder} holds a run with {key}={then.get(key)}, and {value} came; "
                    "give another configuration another folder"
                )


def _settings(path: str, value: Any) -> Iterator[tuple[str, Any]]:
    """The keys below a section, with dots between, and their values."""
    if isinstance(value, dict) and value:
        for name, inner in value.items():
            yield from _settings(f"{path}.{name}", inner)
    else:
        yield path, value


def _tokenizer(config: TrainConfig, folder: Path, start_from: Path | None) -> Tokenizer:
    path = folder / TOKENIZER
    if path.exists():
        return Tokenizer(path.read_bytes())
    if start_from:
        raise_if_no_checkpoint(start_from)
        return Tokenizer((start_from / TOKENIZER).read_bytes())
    texts = [u.text for u in read_utterances(config, config.data.train)]
    return train_tokenizer(texts, config.tokens)


def _trainer(config: TrainConfig, folder: Path) -> lightning.Trainer:
    loop = config.loop
    return lightning.Trainer(
        accelerator=loop.accelerator,
        devices=loop.devices,
        precision=loop.precision,
        max_epochs=loop.epochs,
        reload_dataloaders_every_n_epochs=1,
        use_distributed_sampler=False,
        num_sanity_val_steps=0,
        logger=False,
        plugins=[_WholeFiles()],
        callbacks=[
            _Checkpoints(
                folder,
                filename="last",
                every_n_train_steps=loop.checkpoint_steps,
                enable_version_counter=False,
            ),
            _EpochWeights(folder, loop.average_last),
            _Metrics(folder / "metrics.jsonl"),
            _ProgressBar(refresh_rate=5),
        ],
        enable_model_summary=False,
    )


class _ProgressBar(TQDMProgressBar):
    """Shows the time left from the first step on, also where a run goes on inside an epoch."""

    def on_train_start(self, trainer: lightning.Trainer, *_: Any) -> None:
        super().on_train_start()
        bar = self.train_progress_bar
        bar.reset(trainer.num_training_batches)
        bar.set_description(f"Epoch {trainer.current_epoch}")
        # What an interrupted run has done is not this run's speed.
        bar.initial = bar.n = trainer.fit_loop.epoch_loop.batch_progress.current.ready


class _Checkpoints(ModelCheckpoint):
    """A checkpoint every so many steps, and one when all that ends an epoch is done.

    One at the last step of an epoch would leave out the epoch's weights and metrics of a run that
    is killed between it and the epoch's end.
    """

    def on_train_batch_end(self, trainer: lightning.Trainer, *arguments: Any, **named: Any) -> None:
        if not trainer.is_last_batch:
            super().on_train_batch_end(trainer, *arguments, **named)

    def on_train_epoch_end(self, trainer: lightning.Trainer, module: Any) -> None:
        trainer.save_checkpoint(Path(self.dirpath or ".") / LAST)


class _WholeFiles(TorchCheckpointIO):
    """Writes checkpoints whole or not at all."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, **_: Any) -> None:
        write_whole(Path(path), _saved(checkpoint))


def _saved(value: Any) -> bytes:
    """What torch.save writes; to a full disk it would answer with an error of its own."""
    file = io.BytesIO()
    torch.save(value, file)
    return file.getvalue()


class _EpochWeights(Callback):
    """Keeps the weights of the newest epochs, for their average."""

    def __init__(self, folder: Path, num_kept: int):
        self._folder, self._num_kept = folder, num_kept

    def on_train_epoch_end(self, trainer: lightning.Trainer, module: Any) -> None:
        if not trainer.is_global_zero:
            return
        epoch = trainer.current_epoch
        path = self._folder / f"epoch-{epoch:04d}.pt"
        write_whole(path, _saved(module.model.state_dict()))
        (self._folder / f"epoch-{epoch - self._num_kept:04d}.pt").unlink(missing_ok=True)


def _average(folder: Path, num_epochs: int) -> dict[str, torch.Tensor]:
    """Mean of the weights of the newest epochs."""
    paths = sorted(folder.glob("epoch-*.pt"))[-num_epochs:]
    states = [torch.load(path, weights_only=True) for path in paths]
    return {name: sum(s[name] for s in states) / len(states) for name in states[0]}


class _Metrics(Callback):
    """One JSON line per epoch: step, losses, development errors, seconds.

    A run that goes on within an epoch writes that epoch's line anew.
    """

    def __init__(self, path: Path):
        self._path = path
        self._start_s = time.monotonic()

    def on_validation_end(self, trainer: lightning.Trainer, module: Any) -> None:
        if not trainer.is_global_zero:
            return
        metrics = {name: round(float(v), 5) for name, v in trainer.callback_metrics.items()}
        line = {"epoch": trainer.current_epoch, "step": trainer.global_step, **metrics}
        line["seconds"] = round(time.monotonic() - self._start_s, 1)
        lines = self._path.read_text().splitlines() if self._path.exists() else []
        kept = [text for text in lines if json.loads(text)["epoch"] < line["epoch"]]
        write_whole(self._path, "".join(f"{text}\n" for text in [*kept, json.dumps(line)]).encode())


def _quieten() -> None:
    """Lightning's advice about hardware and loaders is no news to our users."""
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
    logging.getLogger("lightning.fabric").setLevel(logging.WARNING)
    warnings.filterwarnings("ignore", module="lightning")
