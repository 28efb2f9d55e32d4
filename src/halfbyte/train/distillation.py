"""Distillation: a model learns what another one says, beside what the labels say.

The teacher sees the same features under the same draw, such as a chunk mask. How far the two are
apart is the family's to say.

Source: Hinton et al. 2015, "Distilling the Knowledge in a Neural Network" (arXiv:1503.02531), at
temperature 1; for quantised networks: Mishra and Marr 2018, "Apprentice" (arXiv:1711.05852).
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from halfbyte.data.needs import Batch, Vocabulary
from halfbyte.errors import ConfigError
from halfbyte.families.family import Family
from halfbyte.train.checkpoint import family_of, load_checkpoint
from halfbyte.train.config import AnyConfig


@dataclass(frozen=True)
class Teacher:
    """A trained model that another one learns from; no module, so no part of checkpoints.

    Attributes:
        weight: loss = (1 - weight) · loss of the labels + weight · divergence.
    """

    family: Family[Any, Any]
    model: nn.Module
    weight: float

    def divergence(self, student: nn.Module, outputs: Any, batch: Batch, draw: Any) -> Tensor:
        """How far the student's outputs are from the teacher's; a scalar."""
        self.model.to(batch.features.device)
        with torch.no_grad():
            told = self.family.outputs(self.model, batch, draw)
        return self.family.divergence(student, outputs, told).total


def read_teacher(config: AnyConfig, vocabulary: Vocabulary) -> Teacher | None:
    """The teacher in evaluation mode; None where there is none.

    Raises:
        ConfigError: the weight lies outside 0..1, there is no checkpoint, or it is of another
            family or has other tokens.
    """
    wanted = config.distillation
    if not wanted.teacher:
        return None
    if not 0 <= wanted.weight <= 1:
        raise ConfigError(f"distillation.weight is {wanted.weight}; expected 0 to 1")
    other, known, model = load_checkpoint(Path(wanted.teacher))
    if other.family != config.family:
        raise ConfigError(
            f"distillation.teacher {wanted.teacher} is of family {other.family}; the run is of "
            f"family {config.family}"
        )
    if known.tokens != vocabulary.tokens:
        raise ConfigError(
            f"distillation.teacher {wanted.teacher} has other tokens than the run; start the run "
            "from it (--from), or train it with the same tokenizer"
        )
    return Teacher(family_of(config), model.requires_grad_(False), wanted.weight)
