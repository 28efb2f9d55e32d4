"""How far one transducer is from another.

    divergence = (1 - ctc_weight) · Σ_nodes KL(teacher ‖ student) over {blank, next label, all else}
               + ctc_weight · Σ_t KL(teacher ‖ student) of the CTC head, over the steps of speech,
    both per label, as the loss itself is.

Three probabilities of a node instead of V, so that nothing but the lattice is kept.
Source: Panchapagesan et al. 2020 (arXiv:2011.06110).
"""

import torch
from torch import Tensor
from torch.nn.functional import kl_div

from halfbyte.blocks.transducer_loss import Lattice
from halfbyte.families.family import Losses
from halfbyte.families.transducer.model import Outputs

_LEAST = 1e-6  # of the probability of all else, which rounding may make 0 or less


def divergence(student: Outputs, teacher: Outputs, ctc_weight: float) -> Losses:
    """How far the student is from the teacher, per label; 0 where they agree."""
    num_labels = (student.lattice.num_labels + 1).sum()
    nodes = kl_div(
        _three(student.lattice), _three(teacher.lattice), reduction="sum", log_target=True
    )
    step = torch.arange(student.ctc.shape[1], device=student.ctc.device)
    is_step = (step < student.num_steps[:, None])[:, :, None]
    apart = kl_div(student.ctc, teacher.ctc, reduction="none", log_target=True)
    ctc = (apart * is_step).sum()
    parts = {"transducer": nodes.detach() / num_labels, "ctc": ctc.detach() / num_labels}
    return Losses(((1 - ctc_weight) * nodes + ctc_weight * ctc) / num_labels, parts)


def _three(lattice: Lattice) -> Tensor:
    """(N, 3) log-probabilities: blank, next label, all else."""
    has_label = lattice.has_label()
    label = lattice.label.masked_fill(~has_label, -torch.inf)
    rest = (1 - lattice.blank.exp() - label.exp()).clamp_min(_LEAST).log()
    # Without a next label its share is one and the same constant on both sides.
    label = lattice.label.masked_fill(~has_label, 0.0)
    return torch.stack([lattice.blank, label, rest], dim=1)
