"""One training step and one validation step of any family, for Lightning."""

import fnmatch
import math
from dataclasses import astuple
from functools import reduce
from operator import add
from typing import Any

import lightning
import torch
from torch import Tensor, nn

from halfbyte.data.needs import Batch
from halfbyte.errors import ConfigError
from halfbyte.families.family import Inputs, Stage
from halfbyte.scores.score import Score
from halfbyte.train.checkpoint import family_of
from halfbyte.train.config import AnyConfig
from halfbyte.train.distillation import Teacher
from halfbyte.train.run_state import LAST, Position

_MOMENTS = {"step", "exp_avg", "exp_avg_sq"}  # of AdamW


class FamilyTask(lightning.LightningModule):
    """Trains a model as its family says; validates with the numbers that ship.

    Every random draw of a step comes from (seed, step, process), so that a resumed run
    repeats the uninterrupted one.

    Args:
        moments: of the optimiser, where a run goes on (train/run_state.py).
    """

    def __init__(
        self,
        model: nn.Module,
        inputs: Inputs,
        config: AnyConfig,
        stage: Stage,
        teacher: Teacher | None = None,
        moments: dict[str, Tensor] | None = None,
    ):
        super().__init__()
        self.model = model
        self.config = config
        self._family, self._inputs, self._teacher = family_of(config), inputs, teacher
        self._moments = moments or {}
        self._scores: list[Score] = []
        _leave_alone(model, stage)

    def training_step(self, batch: Batch, _: int) -> Tensor:
        """The loss of a batch."""
        seed = self.config.seed * 1_000_003 + self.trainer.global_step
        torch.manual_seed(seed * self.trainer.world_size + self.global_rank)
        draw = self._family.draw(self.model, batch, torch.Generator().manual_seed(seed))
        outputs = self._family.outputs(self.model, batch, draw)
        losses = self._family.loss(self.model, outputs, batch)
        shown = {"loss": losses.total.detach(), **losses.parts}
        self.log_dict(shown, prog_bar=True, batch_size=len(batch))
        if self._teacher is None:
            return losses.total
        apart = self._teacher.divergence(self.model, outputs, batch, draw)
        self.log("divergence", apart.detach(), batch_size=len(batch))
        weight = self._teacher.weight
        return (1 - weight) * losses.total + weight * apart

    def on_validation_epoch_start(self) -> None:
        """Begin to count."""
        self._scores = []

    def validation_step(self, batch: Batch, _: int) -> None:
        """Count what the device would get right, in float32 as it computes."""
        with torch.autocast(self.device.type, enabled=False):
            self._scores.append(self._family.validate(self.model, batch, self._inputs))

    def on_validation_epoch_end(self) -> None:
        """Log the figures of all processes together."""
        own = reduce(add, self._scores)
        counts: Any = self.all_gather(torch.tensor(astuple(own), device=self.device))
        total = type(own)(*counts.reshape(-1, counts.shape[-1]).sum(0).tolist())
        self.log_dict({f"dev_{n}": v for n, v in total.figures().items()}, prog_bar=True)

    def configure_gradient_clipping(self, *_: object, **__: object) -> None:
        """Ourselves: Lightning would refuse with a fused optimiser, for which fp16 has a scaler."""
        clip = self.config.optimizer.gradient_clip
        if clip > 0:
            torch.nn.utils.clip_grad_norm_(self.model.parameters(), clip)

    def configure_optimizers(self) -> Any:
        """AdamW; biases and norms do not decay."""
        options = self.config.optimizer
        parameters = [p for p in self.parameters() if p.requires_grad]
        groups: list[dict[str, Any]] = [
            {"params": [p for p in parameters if p.dim() > 1]},
            {"params": [p for p in parameters if p.dim() <= 1], "weight_decay": 0.0},
        ]
        optimizer = torch.optim.AdamW(
            groups, options.peak_rate, (0.9, 0.98), weight_decay=options.weight_decay, fused=True
        )
        set_moments(optimizer, dict(self.model.named_parameters()), self._moments)
        corpora: Any = self.trainer.datamodule  # type: ignore[attr-defined]
        total_steps = corpora.num_steps(Position(self.config.loop.epochs))

        def rate(step: int) -> float:
            if step < options.warmup_steps:
                return (step + 1) / options.warmup_steps
            done = (step - options.warmup_steps) / max(1, total_steps - options.warmup_steps)
            return 0.5 * (1 + math.cos(math.pi * min(1.0, done)))

        for group in optimizer.param_groups:
            group["initial_lr"] = options.peak_rate
        last_step = corpora.num_steps(corpora.start) - 1
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, rate, last_step)
        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": schedule, "interval": "step"},
        }


def moments_of(
    optimizer: torch.optim.Optimizer, parameters: dict[str, nn.Parameter]
) -> dict[str, Tensor]:
    """The optimiser's state by its own name for it and the parameter's: `exp_avg.head.bias`."""
    return {
        f"{key}.{name}": value
        for name, parameter in parameters.items()
        for key, value in optimizer.state.get(parameter, {}).items()
    }


def set_moments(
    optimizer: torch.optim.Optimizer,
    parameters: dict[str, nn.Parameter],
    moments: dict[str, Tensor],
) -> None:
    """Give a fresh AdamW the state that `moments_of` took.

    Raises:
        ConfigError: it is of other parameters.
    """
    trained = [p for group in optimizer.param_groups for p in group["params"]]
    number_of = {parameter: number for number, parameter in enumerate(trained)}
    state: dict[int, dict[str, Tensor]] = {}
    for place, value in moments.items():
        key, _, name = place.partition(".")
        parameter = parameters.get(name)
        shape = {"step": torch.Size()}.get(key, parameter.shape if parameter is not None else None)
        if parameter is None or parameter not in number_of or value.shape != shape:
            raise ConfigError(f"the optimiser's {place} in {LAST} does not fit the model")
        state.setdefault(number_of[parameter], {})[key] = value
    if any(held.keys() != _MOMENTS for held in state.values()):
        raise ConfigError(f"the optimiser's state in {LAST} is not whole")
    optimizer.load_state_dict({**optimizer.state_dict(), "state": state})


def _leave_alone(model: nn.Module, stage: Stage) -> None:
    """Parameters that a stage does not train stay as they are.

    Raises:
        ConfigError: it trains none.
    """
    parameters = dict(model.named_parameters())
    trained = {n for n in parameters if any(fnmatch.fnmatch(n, p) for p in stage.trainable)}
    if not trained:
        raise ConfigError(f"stage {stage.name!r} trains no parameter: {', '.join(stage.trainable)}")
    for name in parameters.keys() - trained:
        parameters[name].requires_grad_(False)
