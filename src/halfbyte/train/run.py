"""A training run from configuration to checkpoint folder, resumable at any moment."""

import logging
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import lightning
import torch
from filelock import FileLock, Timeout
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.utilities import rank_zero_only
from torch import nn

from halfbyte.data.needs import Vocabulary
from halfbyte.errors import ConfigError
from halfbyte.families.family import Inputs, Stage
from halfbyte.files import write_whole
from halfbyte.ops.native import native_layers
from halfbyte.train.callbacks import (
    EpochWeights,
    KeepsSigterm,
    Metrics,
    SavesRun,
    ShowsProgress,
    average_epochs,
    stoppable,
)
from halfbyte.train.checkpoint import (
    CONFIG,
    METRICS,
    RESULT,
    WEIGHTS,
    build_model,
    family_of,
    find_checkpoint,
    inputs_of,
    load_checkpoint,
    read_checkpoint_config,
    save_checkpoint,
    start_from,
)
from halfbyte.train.config import AnyConfig, dump_config, plain_tree, with_overrides
from halfbyte.train.corpora import Corpora, read_utterances
from halfbyte.train.distillation import read_teacher
from halfbyte.train.run_state import LAST, Position, RunState, read_run_state
from halfbyte.train.task import FamilyTask, moments_of

_LOCK = ".lock"
_AUTO, _BFLOAT16, _FLOAT32 = "auto", "bf16-mixed", "32-true"  # fp16 would need its losses scaled
_PRECISIONS = (_AUTO, _BFLOAT16, _FLOAT32)
# What a run that goes on may have otherwise: how it is computed, and where its data lie; the data
# themselves are compared by what they hold.
_DATA = ("root", "cache", "workers", "skip_bad", "train", "dev", "noise")
_MAY_CHANGE = ("name", "loop.", *(f"data.{key}" for key in _DATA))


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
        ConfigError: the folder holds a run of another configuration or of other data, or damaged
            files; another training runs in it; or a setting is out of its range.
        KeyboardInterrupt: Ctrl-C; or SIGTERM, as `Terminated`.
    """
    with stoppable(), _locked(folder):
        return _train_stages(config, folder, source)


def _train_stages(config: AnyConfig, folder: Path, source: Path | None) -> Path:
    stages = family_of(config).stages(config.model)
    if len(stages) == 1:
        return _train_stage(config, stages[0], folder, source)
    for stage in stages:
        own = folder / stage.name
        if not (own / RESULT / WEIGHTS).exists():
            _train_stage(with_overrides(config, stage.overrides), stage, own, source)
        source = own / RESULT
    if _is_first_process():
        last, vocabulary, model = load_checkpoint(own / RESULT)
        save_checkpoint(folder / RESULT, last, vocabulary, model.state_dict())
    return folder / RESULT


def _is_first_process() -> bool:
    return rank_zero_only.rank == 0  # type: ignore[attr-defined]


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """No other training writes into the folder meanwhile; processes of this one may."""
    if not _is_first_process():
        yield
        return
    is_new = not folder.exists()
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(folder / _LOCK, timeout=0):
            yield
    except Timeout as error:
        raise ConfigError(
            f"another training runs in {folder}; wait for its end, or give another folder"
        ) from error
    finally:
        if is_new and [path.name for path in folder.iterdir()] == [_LOCK]:  # a mistake's folder
            (folder / _LOCK).unlink()
            folder.rmdir()


def _train_stage(config: AnyConfig, stage: Stage, folder: Path, source: Path | None) -> Path:
    _quieten()
    if config.loop.precision not in _PRECISIONS:
        known = f"{', '.join(_PRECISIONS[:-1])} or {_PRECISIONS[-1]}"
        raise ConfigError(f"loop.precision is {config.loop.precision}; expected {known}")
    state = read_run_state(folder)
    if state:
        _refuse_another_configuration(config, folder, state)
    if config.loop.threads:
        torch.set_num_threads(config.loop.threads)
    lightning.seed_everything(config.seed)
    vocabulary = _vocabulary(config, folder, source)
    model = build_model(config, vocabulary)
    if state:
        _load_weights(model, state, folder)
    elif source and (left_out := start_from(model, source, stage.start)):
        print(left_out, file=sys.stderr)
    teacher = read_teacher(config, vocabulary)
    is_fresh = state.is_fresh if state else source is None
    start = state.position if state else Position()
    corpora = Corpora(config, vocabulary, is_fresh, start)
    if state:
        _refuse_other_data(corpora, folder, state)
    _leave_out_unlearnable(config, corpora, model, inputs_of(config, vocabulary))
    callbacks = _callbacks(config, stage, folder, corpora, model, is_fresh)
    # A mistake in the configuration has shown by now, and leaves no folder behind.
    family = family_of(config)
    write_whole(folder / family.needs.file, vocabulary.content)
    write_whole(folder / CONFIG, dump_config(config).encode())
    if is_fresh and not state:
        family.start_features(model, *corpora.feature_statistics())
    moments = state.moments if state else {}
    task = FamilyTask(model, inputs_of(config, vocabulary), config, stage, teacher, moments)
    trainer = _trainer(config, callbacks)
    if start.epoch < config.loop.epochs:
        _begin_at(trainer, corpora)
        trainer.fit(task, corpora)
    result = folder / RESULT
    if trainer.is_global_zero:
        model.load_state_dict(average_epochs(folder, config.loop.average_last))
        if stage.settles_weights:
            for layer in native_layers(model).values():
                layer.settle_weight()
            config = with_overrides(config, ("quantization.weights=absmax",))  # finds them again
        save_checkpoint(result, config, vocabulary, model.state_dict())
    trainer.strategy.barrier()  # the next stage of every process starts from the result
    return result


def _refuse_another_configuration(config: AnyConfig, folder: Path, state: RunState) -> None:
    """A run goes on only with the configuration that it began with, but for what may change."""
    then = dict(_settings("", state.configuration))
    for key, value in _settings("", plain_tree(config)):
        if then.get(key) != value and not key.startswith(_MAY_CHANGE):
            raise ConfigError(
                f"{folder} holds a run with {key}={then.get(key)}; this one has {value}; "
                "give another configuration another folder"
            )


def _refuse_other_data(corpora: Corpora, folder: Path, state: RunState) -> None:
    """A run goes on only with the data that it began with: its position means nothing in others."""
    for name, found in corpora.fingerprints.items():
        then = state.data.get(name, [])
        if then != found:
            before = f"{then[0]} utterances" if then else "none"
            change = f"{before}, now {found[0]}" if then[:1] != found[:1] else "other ones"
            raise ConfigError(
                f"{folder} holds a run whose data.{name} had {change}; give other data another "
                f"folder (--from {folder / RESULT} starts from the weights of a finished run)"
            )


def _leave_out_unlearnable(
    config: AnyConfig, corpora: Corpora, model: nn.Module, inputs: Inputs
) -> None:
    """Leave out what teaches a loss nothing: it is 0 there, and looks like a perfect one."""
    found = corpora.leave_out_unlearnable(partial(family_of(config).unlearnable, model, inputs))
    if found and rank_zero_only.rank == 0:  # type: ignore[attr-defined]
        print(
            f"warning: left out {len(found)} utterances of data.train that are too short for "
            f"their texts; the first: {found[0]}",
            file=sys.stderr,
        )


def _load_weights(model: nn.Module, state: RunState, folder: Path) -> None:
    try:
        model.load_state_dict(state.weights)
    except RuntimeError as error:
        reason = " ".join(str(error).split())[:200]
        raise ConfigError(f"{folder / LAST} does not fit the model: {reason}") from error


def _begin_at(trainer: lightning.Trainer, corpora: Corpora) -> None:
    """Let Lightning's counters stand where the run does."""
    corpora.trainer = trainer
    epochs: Any = trainer.fit_loop.epoch_progress.current
    epochs.ready = epochs.started = epochs.processed = epochs.completed = corpora.start.epoch
    steps = trainer.fit_loop.epoch_loop.automatic_optimization.optim_progress.optimizer.step.total
    steps.ready = steps.completed = corpora.num_steps(corpora.start)


def _settings(path: str, value: Any) -> Iterator[tuple[str, Any]]:
    """The keys below a section, with dots between, and their values."""
    if isinstance(value, dict) and value:
        for name, inner in value.items():
            yield from _settings(f"{path}.{name}" if path else name, inner)
    else:
        yield path, value


def _vocabulary(config: AnyConfig, folder: Path, source: Path | None) -> Vocabulary:
    needs = family_of(config).needs
    path = folder / needs.file
    if path.exists():
        return needs.read(path.read_bytes())
    if source and family_of(read_checkpoint_config(source)).needs.file == needs.file:
        return needs.read((find_checkpoint(source) / needs.file).read_bytes())
    return needs.fit(read_utterances(config, config.data.train), config.tokens)


def _callbacks(
    config: AnyConfig,
    stage: Stage,
    folder: Path,
    corpora: Corpora,
    model: nn.Module,
    is_fresh: bool,
) -> list[Callback]:
    """In their order: an epoch's weights and metrics are written before the run is saved."""

    def save(position: Position, optimizer: torch.optim.Optimizer) -> None:
        moments = moments_of(optimizer, dict(model.named_parameters()))
        tree, data = plain_tree(config), corpora.fingerprints
        RunState(position, tree, data, is_fresh, model.state_dict(), moments).write(folder)

    return [
        KeepsSigterm(),
        EpochWeights(folder, config.loop.average_last),
        Metrics(folder / METRICS),
        ShowsProgress(stage.name),
        SavesRun(save, config.loop.checkpoint_steps),
    ]


def _trainer(config: AnyConfig, callbacks: list[Callback]) -> lightning.Trainer:
    loop = config.loop
    return lightning.Trainer(
        accelerator=loop.accelerator,
        devices=loop.devices,
        precision=_precision(loop.precision, loop.accelerator),  # type: ignore[arg-type]
        max_epochs=loop.epochs,
        reload_dataloaders_every_n_epochs=1,
        use_distributed_sampler=False,
        num_sanity_val_steps=0,
        logger=False,
        callbacks=callbacks,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )


def _precision(wanted: str, accelerator: str) -> str:
    """What `auto` stands for here.

    Without hardware for it, a product in bfloat16 takes 4 to 7 times as long as one in float32.
    """
    if wanted != _AUTO:
        return wanted
    if accelerator != "cpu" and torch.cuda.is_available():
        has_bfloat16 = torch.cuda.is_bf16_supported(including_emulation=False)
    else:
        has_bfloat16 = torch.ops.mkldnn._is_mkldnn_bf16_supported()
    return _BFLOAT16 if has_bfloat16 else _FLOAT32


def _quieten() -> None:
    """Lightning's advice about hardware and loaders is no news to our users."""
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
    logging.getLogger("lightning.fabric").setLevel(logging.WARNING)
    warnings.filterwarnings("ignore", module="lightning")
