"""A training run from configuration to checkpoint folder, resumable at any moment."""

import io
import json
import logging
import sys
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import lightning
import torch
from lightning.pytorch.callbacks import Callback, ModelCheckpoint, TQDMProgressBar
from lightning.pytorch.plugins.io import TorchCheckpointIO

from halfbyte.data.needs import Vocabulary
from halfbyte.errors import ConfigError
from halfbyte.families.family import Stage
from halfbyte.files import write_whole
from halfbyte.train.checkpoint import (
    CONFIG,
    WEIGHTS,
    build_model,
    family_of,
    inputs_of,
    load_checkpoint,
    read_checkpoint_config,
    save_checkpoint,
    start_from,
)
from halfbyte.train.config import (
    AnyConfig,
    dump_config,
    load_config,
    plain_tree,
    with_overrides,
)
from halfbyte.train.corpora import Corpora, read_utterances
from halfbyte.train.distillation import read_teacher
from halfbyte.train.task import FamilyTask

LAST = "last.ckpt"
RESULT = "result"
_PRECISIONS = ("bf16-mixed", "32-true")  # fp16 would need its losses scaled
_SHAPING = ("family", "features", "tokens", "model", "quantization")  # what weights are


def train(config: AnyConfig, folder: Path, source: Path | None = None) -> Path:
    """Train, or go on where an earlier call with this folder stopped.

    Args:
        config: the whole configuration.
        folder: of the run; holds checkpoints, `metrics.jsonl` and at the end the result. A run of
            several stages has a folder of each in it.
        source: checkpoint folder whose vocabulary and weights a new run starts from, as far as
            they fit.

    Returns:
        The checkpoint folder with the averaged weights.

    Raises:
        ConfigError: the folder holds a run of another model, or a setting is out of its range.
    """
    stages = family_of(config).stages(config.model)
    if len(stages) == 1:
        return _train_stage(config, stages[0], folder, source)
    if config.loop.devices > 1:
        raise ConfigError(
            f"loop.devices is {config.loop.devices}; family {config.family} trains in "
            f"{len(stages)} stages, which needs loop.devices=1"
        )
    for stage in stages:
        own = folder / stage.name
        if not (own / RESULT / WEIGHTS).exists():
            _train_stage(with_overrides(config, stage.overrides), stage, own, source)
        source = own / RESULT
    last, vocabulary, model = load_checkpoint(own / RESULT)
    save_checkpoint(folder / RESULT, last, vocabulary, model.state_dict())
    return folder / RESULT


def _train_stage(config: AnyConfig, stage: Stage, folder: Path, source: Path | None) -> Path:
    _quieten()
    if config.loop.precision not in _PRECISIONS:
        known = " or ".join(_PRECISIONS)
        raise ConfigError(f"loop.precision is {config.loop.precision}; expected {known}")
    _refuse_another_model(config, folder)
    if config.loop.threads:
        torch.set_num_threads(config.loop.threads)
    lightning.seed_everything(config.seed)
    vocabulary = _vocabulary(config, folder, source)
    model = build_model(config, vocabulary)
    if source and (left_out := start_from(model, source, stage.start)):
        print(left_out, file=sys.stderr)
    teacher = read_teacher(config, vocabulary)
    corpora = Corpora(config, vocabulary, is_fresh=source is None)
    # A mistake in the configuration has shown by now, and leaves no folder behind.
    family = family_of(config)
    write_whole(folder / family.needs.file, vocabulary.content)
    write_whole(folder / CONFIG, dump_config(config).encode())
    if not source:
        family.start_features(model, *corpora.feature_statistics())
    task = FamilyTask(model, inputs_of(config, vocabulary), config, stage, teacher)
    last = folder / LAST
    trainer = _trainer(config, folder)
    trainer.fit(task, corpora, ckpt_path=last if last.exists() else None, weights_only=False)
    result = folder / RESULT
    if trainer.is_global_zero:
        save_checkpoint(result, config, vocabulary, _average(folder, config.loop.average_last))
    return result


def _refuse_another_model(config: AnyConfig, folder: Path) -> None:
    """A run goes on only as the model that it began as."""
    if not (folder / LAST).exists():
        return
    began = load_config(folder / CONFIG)
    before, now = plain_tree(began), plain_tree(config)
    for section in _SHAPING:
        then = dict(_settings(section, before[section]))
        for key, value in _settings(section, now[section]):
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


def _vocabulary(config: AnyConfig, folder: Path, source: Path | None) -> Vocabulary:
    needs = family_of(config).needs
    path = folder / needs.file
    if path.exists():
        return needs.read(path.read_bytes())
    if source and family_of(read_checkpoint_config(source)).needs.file == needs.file:
        return needs.read((source / needs.file).read_bytes())
    return needs.fit(read_utterances(config, config.data.train), config.tokens)


def _trainer(config: AnyConfig, folder: Path) -> lightning.Trainer:
    loop = config.loop
    return lightning.Trainer(
        accelerator=loop.accelerator,
        devices=loop.devices,
        precision=loop.precision,  # type: ignore[arg-type]
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

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any = None
    ) -> None:
        """Lightning's, by our own way to write."""
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
