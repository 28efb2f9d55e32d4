"""What happens around the steps of a run: it is saved, counted, shown, and can be stopped."""

import json
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import reduce
from operator import add
from pathlib import Path
from typing import Any

import lightning
import safetensors.torch
import torch
from lightning.pytorch.callbacks import Callback

from halfbyte.errors import ConfigError
from halfbyte.files import write_whole
from halfbyte.progress import Progress
from halfbyte.train.run_state import Position, read_tensors

Save = Callable[[Position, torch.optim.Optimizer], None]


class Terminated(KeyboardInterrupt):
    """SIGTERM, which ends a run as Ctrl-C does."""


@contextmanager
def stoppable() -> Iterator[None]:
    """Let SIGTERM and Ctrl-C end what runs inside by an exception of their own."""
    if threading.current_thread() is not threading.main_thread():  # which alone gets signals
        yield
        return
    before = signal.signal(signal.SIGTERM, _terminate)
    try:
        yield
    except SystemExit as end:  # Lightning's answer to an interrupt, once other processes are gone
        if isinstance(end.__context__, KeyboardInterrupt):
            raise end.__context__ from None
        raise
    finally:
        signal.signal(signal.SIGTERM, before)


def _terminate(*_: object) -> None:
    raise Terminated


class KeepsSigterm(Callback):
    """Puts back the handler that Lightning replaces by one that ends with status 0."""

    def on_train_start(self, trainer: lightning.Trainer, module: Any) -> None:
        """By then Lightning has put its own handler there."""
        is_first = trainer.is_global_zero
        if is_first and threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, _terminate)


class SavesRun(Callback):
    """Saves a run every so many steps, and when all that ends an epoch is done.

    One at the last step of an epoch would leave out the epoch's weights and metrics of a run that
    is killed between it and the epoch's end.
    """

    def __init__(self, save: Save, every_steps: int):
        self._save, self._every_steps = save, every_steps

    def on_train_batch_end(
        self, trainer: lightning.Trainer, module: Any, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Save when it is time, unless the epoch's end is next, which saves too."""
        is_time = trainer.global_step % self._every_steps == 0
        if trainer.is_global_zero and is_time and not trainer.is_last_batch:
            corpora: Any = trainer.datamodule  # type: ignore[attr-defined]
            self._save(corpora.position(batch_idx + 1), trainer.optimizers[0])

    def on_train_epoch_end(self, trainer: lightning.Trainer, module: Any) -> None:
        if trainer.is_global_zero:
            self._save(Position(trainer.current_epoch + 1), trainer.optimizers[0])


class EpochWeights(Callback):
    """Keeps the weights of the newest epochs, for their average."""

    def __init__(self, folder: Path, num_kept: int):
        self._folder, self._num_kept = folder, num_kept

    def on_train_epoch_end(self, trainer: lightning.Trainer, module: Any) -> None:
        """Write the epoch's weights and delete those that the average no longer needs."""
        if not trainer.is_global_zero:
            return
        epoch, weights = trainer.current_epoch, module.model.state_dict()
        contiguous = {name: value.contiguous() for name, value in weights.items()}
        write_whole(_epoch_path(self._folder, epoch), safetensors.torch.save(contiguous))
        _epoch_path(self._folder, epoch - self._num_kept).unlink(missing_ok=True)


def average_epochs(folder: Path, num_epochs: int) -> dict[str, torch.Tensor]:
    """Mean of the weights of the newest epochs.

    Raises:
        ConfigError: a file is damaged, or does not fit the others.
    """
    paths = sorted(folder.glob("epoch-*.safetensors"))[-num_epochs:]
    states = [read_tensors(path)[0] for path in paths]
    shapes = [{name: value.shape for name, value in state.items()} for state in states]
    if not states or any(shape != shapes[0] for shape in shapes):
        names = ", ".join(path.name for path in paths) or "none"
        raise ConfigError(
            f"{folder} holds weights of epochs that are of no one model ({names}); "
            "move the folder away to begin the run anew"
        )
    return {name: reduce(add, (s[name] for s in states)) / len(states) for name in states[0]}


def _epoch_path(folder: Path, epoch: int) -> Path:
    return folder / f"epoch-{epoch:04d}.safetensors"


class Metrics(Callback):
    """One JSON line per epoch: step, losses, development errors, seconds.

    A run that goes on within an epoch writes that epoch's line anew.

    Raises:
        ConfigError: the file holds something else.
    """

    def __init__(self, path: Path):
        self._path = path
        self._start_s = time.monotonic()
        self._lines = read_metrics(path)

    def on_validation_end(self, trainer: lightning.Trainer, module: Any) -> None:
        """Write the epoch's line, in place of one that an interrupted call wrote."""
        if not trainer.is_global_zero:
            return
        metrics = {name: round(float(v), 5) for name, v in trainer.callback_metrics.items()}
        line = {"epoch": trainer.current_epoch, "step": trainer.global_step, **metrics}
        line["seconds"] = round(time.monotonic() - self._start_s, 1)
        self._lines = [*(one for one in self._lines if one["epoch"] < line["epoch"]), line]
        content = "".join(f"{json.dumps(one)}\n" for one in self._lines)
        write_whole(self._path, content.encode())


def read_metrics(path: Path) -> list[dict[str, Any]]:
    """The lines of a run's metrics, in order; none where there is no such file.

    Raises:
        ConfigError: a line is damaged.
    """
    lines = []
    text = path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""
    for number, line in enumerate(text.splitlines(), 1):
        try:
            fields = json.loads(line)
            fields["epoch"] = int(fields["epoch"])
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise ConfigError(
                f"{path} line {number} is damaged: expected a JSON object with an epoch; "
                "delete the line to go on without it"
            ) from error
        lines.append(fields)
    return lines


class ShowsProgress(Callback):
    """Epoch of epochs, the loss, and the time left in all; a line at the end of an epoch.

    Args:
        label: put before it, such as the stage's name.
    """

    def __init__(self, label: str):
        self._label = f"{label}, " if label else ""
        self._progress: Progress | None = None

    def on_train_start(self, trainer: lightning.Trainer, module: Any) -> None:
        """Begin to estimate the time left, from the step where the run goes on."""
        corpora: Any = trainer.datamodule  # type: ignore[attr-defined]
        num_steps = corpora.num_steps(Position(trainer.max_epochs or 0))
        if trainer.is_global_zero:
            self._progress = Progress(num_steps, trainer.global_step)

    def on_train_batch_end(self, trainer: lightning.Trainer, *_: Any) -> None:
        self._show(trainer)

    def on_validation_batch_end(self, trainer: lightning.Trainer, *_: Any) -> None:
        self._show(trainer)

    def _show(self, trainer: lightning.Trainer) -> None:
        if self._progress:
            loss = float(trainer.callback_metrics.get("loss", torch.nan))
            self._progress.show(trainer.global_step, f"{self._epoch(trainer)}, loss {loss:.3f}")

    def _epoch(self, trainer: lightning.Trainer) -> str:
        return f"{self._label}epoch {trainer.current_epoch + 1} of {trainer.max_epochs}"

    def on_train_epoch_end(self, trainer: lightning.Trainer, module: Any) -> None:
        """Print the epoch's figures as a line that stays."""
        if not self._progress:
            return
        self._progress.clear()
        figures = [f"{name} {float(v):.4g}" for name, v in trainer.callback_metrics.items()]
        left = f"{self._progress.left(trainer.global_step)} left"
        print(", ".join([self._epoch(trainer), *figures, left]), file=sys.stderr, flush=True)
