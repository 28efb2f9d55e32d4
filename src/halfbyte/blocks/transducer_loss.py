"""Transducer loss fused with the joint: logits exist for one tile of steps at a time.

    loss = -log Σ P(alignment), over all alignments of U labels with T steps

A joint gives logits for each node (t, u) of a lattice: T · (U + 1) · V numbers, 830 MB for 20 s,
100 labels and 4096 tokens, and as much again for their gradient. The lattice needs two numbers of
each node, though: the log-probabilities of the blank and of the next label. So the joint runs tile
by tile, keeps these two, and runs again in the backward pass, tile by tile. Memory is
O(T · U + tile · V). Padding costs nothing: only nodes that an utterance has are computed.

The joint is any module from rows to logits, in float or native integers; what it computes here is
what the device computes.

Sources: Graves 2012 (arXiv:1211.3711); Yu et al. 2020, FastEmit (arXiv:2010.11148). Li et al. 2019
(arXiv:1909.12415) merge the softmax with the loss, but keep all logits.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from halfbyte import _core

BLANK = 0
TILE_NODES = 2048  # of one run of the joint: 34 MB of logits with 4096 tokens

Joint = Callable[[Tensor, Tensor], Tensor]  # (R, D) encoded, (R, D) predicted -> (R, V) logits


@dataclass(frozen=True)
class Lattice:
    """What a joint says of the nodes of a batch, utterance by utterance, each (T, U + 1) row-major.

    Attributes:
        blank: (N,) float32 log-probabilities of the blank.
        label: (N,) float32 of the next label; at u = U, where there is none, of no meaning.
        num_steps: (B,) int64, T of each utterance.
        num_labels: (B,) int64, U of each utterance.
    """

    blank: Tensor
    label: Tensor
    num_steps: Tensor
    num_labels: Tensor

    def has_label(self) -> Tensor:
        """(N,) bool: whether a label follows the node."""
        widths = (self.num_labels + 1).repeat_interleave(self.num_steps)
        place = _place_in(widths)
        return place < (widths - 1).repeat_interleave(widths)


def lattice_of(
    joint: Joint,
    encoded: Tensor,
    num_steps: Tensor,
    predicted: Tensor,
    labels: Tensor,
    num_labels: Tensor,
    tile_nodes: int = TILE_NODES,
) -> Lattice:
    """The two log-probabilities of each node, tile by tile.

    Args:
        joint: from rows of encoder and predictor, (R, D) each, to logits (R, V).
        encoded: (B, T, D), padded with anything.
        num_steps: (B,) int64, each at least 1.
        predicted: (B, U + 1, D), after 0 to U labels; padded with anything.
        labels: (B, U) int64, padded with anything.
        num_labels: (B,) int64.
        tile_nodes: nodes of a tile at most, or one step where that has more.
    """
    is_step = _is_within(encoded.shape[1], num_steps)
    is_row = _is_within(predicted.shape[1], num_labels + 1)
    owner = is_step.nonzero()[:, 0]  # utterance of each step
    rows, following = predicted[is_row], _following(labels, num_labels)[is_row]
    first_row = (num_labels + 1).cumsum(0) - (num_labels + 1)
    widths = (num_labels + 1)[owner]
    sizes = _tile_sizes(widths.tolist(), tile_nodes)
    blank, label = [], []
    tiles = zip(encoded[is_step].split(sizes), owner.split(sizes), widths.split(sizes), strict=True)
    for steps, owners, each in tiles:
        step = torch.arange(len(each), device=each.device).repeat_interleave(each)
        row = first_row[owners].repeat_interleave(each) + _place_in(each)
        run = _node_log_probs, joint, steps, step, rows, row, following[row]
        found = checkpoint(*run, use_reentrant=False, preserve_rng_state=False)
        blank.append(found[0])
        label.append(found[1])
    return Lattice(torch.cat(blank), torch.cat(label), num_steps, num_labels)


def transducer_loss(lattice: Lattice, fast_emit: float = 0.0) -> Tensor:
    """-log P(labels) of each utterance, (B,) float32.

    Args:
        lattice: of a batch.
        fast_emit: λ; the gradient by labels is (1 + λ) times that of the loss, which makes a model
            say them earlier. The loss stays -log P; other implementations return (1 + λ) of it.
    """
    found: Tensor = _LatticeLoss.apply(  # type: ignore[no-untyped-call]
        lattice.blank, lattice.label, lattice.num_steps, lattice.num_labels, fast_emit
    )
    return found


class _LatticeLoss(torch.autograd.Function):
    """The recursion over the lattice, in double precision by the engine."""

    @staticmethod
    def forward(
        ctx: Any,
        blank: Tensor,
        label: Tensor,
        num_steps: Tensor,
        num_labels: Tensor,
        fast_emit: float,
    ) -> Tensor:
        given = [each.detach().cpu().contiguous() for each in (blank, label, num_steps, num_labels)]
        losses = torch.empty(len(num_steps))
        grads = torch.empty_like(given[0]), torch.empty_like(given[1])
        threads = torch.get_num_threads()
        _core.kernels.transducer_losses(*given, fast_emit, losses, *grads, threads=threads)
        ctx.save_for_backward(*(each.to(blank.device) for each in grads))
        ctx.num_nodes = num_steps * (num_labels + 1)
        return losses.to(blank.device)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor, None, None, None]:
        blank, label = ctx.saved_tensors
        factor = grad.repeat_interleave(ctx.num_nodes)
        return blank * factor, label * factor, None, None, None


class _Picked(torch.autograd.Function):
    """Log-probabilities of the blank and of a label from logits (R, V).

    Log-softmax and two picks, without a tensor of all log-probabilities:
    d logits = g_blank · onehot(blank) + g_label · onehot(label) - (g_blank + g_label) · softmax.
    """

    @staticmethod
    def forward(ctx: Any, logits: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        total = logits.float().logsumexp(dim=1)
        ctx.save_for_backward(logits, labels, total)
        picked = logits.gather(1, labels[:, None])[:, 0]
        return logits[:, BLANK].float() - total, picked.float() - total

    @staticmethod
    def backward(ctx: Any, blank: Tensor, label: Tensor) -> tuple[Tensor, None]:
        logits, labels, total = ctx.saved_tensors
        grad = (logits.float() - total[:, None]).exp_().mul_(-(blank + label)[:, None])
        grad[:, BLANK] += blank
        grad.scatter_add_(1, labels[:, None], label[:, None])
        return grad.to(logits.dtype), None


def _node_log_probs(
    joint: Joint, steps: Tensor, step: Tensor, rows: Tensor, row: Tensor, labels: Tensor
) -> tuple[Tensor, Tensor]:
    logits = joint(steps.index_select(0, step), rows.index_select(0, row))
    found: tuple[Tensor, Tensor] = _Picked.apply(logits, labels)  # type: ignore[no-untyped-call]
    return found


def _is_within(length: int, counts: Tensor) -> Tensor:
    """(B, length) bool: whether a place is before the count of its row."""
    return torch.arange(length, device=counts.device) < counts[:, None]


def _following(labels: Tensor, num_labels: Tensor) -> Tensor:
    """The label after each of 0 to U labels, (B, U + 1) int64; the blank where there is none."""
    is_label = _is_within(labels.shape[1], num_labels)
    return torch.nn.functional.pad(labels.masked_fill(~is_label, BLANK), (0, 1), value=BLANK)


def _place_in(widths: Tensor) -> Tensor:
    """0 … w - 1 for each width w, one after the other."""
    starts = (widths.cumsum(0) - widths).repeat_interleave(widths)
    return torch.arange(len(starts), device=widths.device) - starts


def _tile_sizes(widths: list[int], tile_nodes: int) -> list[int]:
    """Steps of each tile: as many as have `tile_nodes` nodes together, and at least one."""
    sizes, nodes = [0], 0
    for width in widths:
        if sizes[-1] and nodes + width > tile_nodes:
            sizes.append(0)
            nodes = 0
        sizes[-1] += 1
        nodes += width
    return sizes
