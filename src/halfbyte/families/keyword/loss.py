"""Max-pooled cross-entropy: the best step near a word's end, and every step of other sound.

    loss = (c · Σ_words [softplus(-z_own) - log softmax(z)_own] + Σ_others softplus(z)) / steps

z are smoothed logits; those of a word are of its best step, where its own keyword's is largest,
from `pool_before_ms` before the word's end to `pool_after_ms` after it. Others are all of all
steps, but for those of the word's own keyword from its beginning on, and those of a keyword that
the recording's text has at an unknown place. The network may choose the step at which it is surest.

Source: Sun et al. 2016, "Max-pooling loss training of LSTM networks for small-footprint keyword
spotting" (IEEE SLT, arXiv:1705.02411). Differences: a logistic unit for each keyword, and which of
the keywords a word is besides, as a softmax over them. The units alone first learn that some word
ends, and only long after that which (docs/log.md).
"""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, softplus

from halfbyte.families.keyword.model import KeywordSpotter
from halfbyte.families.keyword.needs import KeywordBatch


@dataclass(frozen=True)
class Targets:
    """Which scores (B, T, L) of a batch should be high, which low.

    Attributes:
        pools: of each word recording, keyword, first step and the one past the last: one of
            these steps should be high.
        is_other: (B, T, L) bool, scores that should be low.
        num_steps: of sound, padding left out.
    """

    pools: list[tuple[int, int, int, int]]
    is_other: Tensor
    num_steps: int


def targets_of(model: KeywordSpotter, batch: KeywordBatch, num_steps: int) -> Targets:
    """The targets of a batch whose padded length is `num_steps`."""
    config = model.config
    own_steps = batch.num_frames // config.frames_per_step
    step = torch.arange(num_steps, device=own_steps.device)
    is_sound = step < own_steps[:, None]
    is_other = is_sound[..., None] & ~batch.is_said[:, None, model.labels]
    before, after = (ms // model.step_ms for ms in (config.pool_before_ms, config.pool_after_ms))
    outputs = {label: output for output, label in enumerate(model.labels)}
    pools = []
    for row, label, first, last in batch.words.tolist():
        if label not in outputs:
            continue
        first, last = first // config.frames_per_step, last // config.frames_per_step
        end = min(int(own_steps[row]), last + after + 1)
        is_other[row, first:end, outputs[label]] = False
        pools.append((row, outputs[label], max(0, min(last - before, end - 1)), end))
    return Targets(pools, is_other, int(is_sound.sum()))


def pooled_loss(scores: Tensor, targets: Targets, weight: float) -> tuple[Tensor, Tensor]:
    """The two terms of the loss: of words, and of other sound."""
    others = (softplus(scores) * targets.is_other).sum()
    if not targets.pools:
        return scores.sum() * 0, others / targets.num_steps
    best = torch.stack([_best_step(scores[row], *pool) for row, *pool in targets.pools])
    own = torch.tensor([output for _, output, _, _ in targets.pools], device=scores.device)
    is_heard = softplus(-best.gather(1, own[:, None])).sum()
    words = is_heard + cross_entropy(best, own, reduction="sum")
    return weight * words / targets.num_steps, others / targets.num_steps


def _best_step(scores: Tensor, output: int, first: int, end: int) -> Tensor:
    """The scores (L,) of the step where one of them is largest; scores (T, L)."""
    step = first + scores[first:end, output].argmax()
    return scores[step]
