"""How far one model's log-probabilities are from another's.

    divergence = ctc_weight · Σ_t KL(teacher ‖ student) of the CTC head, over the steps of speech
               + (1 - ctc_weight) · Σ_l KL(teacher ‖ student) of the decoder, over the labels,
    both per label, as the loss itself is.

Where the student starts from the teacher's weights, as a quantised model from its float one does,
their CTC alignments agree, without which a frame-by-frame divergence would pull in two directions.
"""

import torch
from torch import Tensor, nn

from halfbyte.families.family import Losses
from halfbyte.families.u2.model import IGNORED, LogProbs


def divergence(student: LogProbs, teacher: LogProbs, ctc_weight: float) -> Losses:
    """How far the student is from the teacher, per label; 0 where they agree."""
    step = torch.arange(student.ctc.shape[1], device=student.ctc.device)
    is_step = step < student.num_steps[:, None]
    is_label = student.labels != IGNORED
    ctc = (_divergence(student.ctc, teacher.ctc) * is_step).sum()
    attention = (_divergence(student.attention, teacher.attention) * is_label).sum()
    num_labels = is_label.sum()
    parts = {"ctc": ctc.detach() / num_labels, "attention": attention.detach() / num_labels}
    return Losses((ctc_weight * ctc + (1 - ctc_weight) * attention) / num_labels, parts)


def _divergence(student: Tensor, teacher: Tensor) -> Tensor:
    """KL(teacher ‖ student) over the last axis."""
    return nn.functional.kl_div(student, teacher, reduction="none", log_target=True).sum(-1)
