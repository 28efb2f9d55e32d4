"""Distillation: a model learns what another one says, beside what the texts say.

    divergence = ctc_weight · Σ_t KL(teacher ‖ student) of the CTC head, over the steps of speech
               + (1 - ctc_weight) · Σ_l KL(teacher ‖ student) of the decoder, over the labels,
    both per label, as the loss itself is.

The teacher sees the same features under the same chunk mask. Where the student starts from the
teacher's weights, as a quantised model from its float one does, their CTC alignments agree, without
which a frame-by-frame divergence would pull in two directions.

Source: Hinton et al. 2015, "Distilling the Knowledge in a Neural Network" (arXiv:1503.02531), at
temperature 1; for quantised networks: Mishra and Marr 2018, "Apprentice" (arXiv:1711.05852).
"""

from pathlib import Path

import torch
from torch import Tensor, nn

from halfbyte.data.dataset import Batch
from halfbyte.data.tokenizer import Tokenizer
from halfbyte.errors import ConfigError
from halfbyte.families.u2.model import IGNORED, U2, LogProbs
from halfbyte.train.checkpoint import load_checkpoint
from halfbyte.train.config import DistillationConfig


def read_teacher(config: DistillationConfig, tokenizer: Tokenizer) -> U2 | None:
    """The teacher in evaluation mode; None where there is none.

    Raises:
        ConfigError: the weight lies outside 0..1, there is no checkpoint, or it has other tokens.
    """
    if not config.teacher:
        return None
    if not 0 <= config.weight <= 1:
        raise ConfigError(f"distillation.weight is {config.weight}; expected 0 to 1")
    _, other, teacher = load_checkpoint(Path(config.teacher))
    if other.tokens != tokenizer.tokens:
        raise ConfigError(
            f"distillation.teacher {config.teacher} has other tokens than the run; start the run "
            "from it (--from), or train it with the same tokenizer"
        )
    return teacher.requires_grad_(False)


def divergence(student: LogProbs, teacher: LogProbs, ctc_weight: float) -> Tensor:
    """How far the student is from the teacher, per label; a scalar, 0 where they agree."""
    step = torch.arange(student.ctc.shape[1], device=student.ctc.device)
    is_step = step < student.num_steps[:, None]
    is_label = student.labels != IGNORED
    ctc = (_divergence(student.ctc, teacher.ctc) * is_step).sum()
    attention = (_divergence(student.attention, teacher.attention) * is_label).sum()
    return (ctc_weight * ctc + (1 - ctc_weight) * attention) / is_label.sum()


def _divergence(student: Tensor, teacher: Tensor) -> Tensor:
    """KL(teacher ‖ student) over the last axis."""
    return nn.functional.kl_div(student, teacher, reduction="none", log_target=True).sum(-1)


def ask(teacher: U2, batch: Batch, chunk_steps: int) -> LogProbs:
    """What the teacher says of a batch."""
    with torch.no_grad():
        return teacher.log_probs(
            batch.features, batch.num_frames, batch.tokens, batch.num_tokens, chunk_steps
        )
