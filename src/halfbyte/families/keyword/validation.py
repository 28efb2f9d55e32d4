"""Words found and false alarms at the thresholds that ship."""

import math

import torch
from torch import Tensor

from halfbyte.families.keyword.loss import targets_of
from halfbyte.families.keyword.model import KeywordSpotter
from halfbyte.families.keyword.needs import KeywordBatch
from halfbyte.scores.detections import DetectionScore


def detections(model: KeywordSpotter, scores: Tensor) -> Tensor:
    """Where the device detects: a largest score within the refractory time on both sides."""
    reach = model.config.refractory_ms // model.step_ms
    largest = torch.nn.functional.max_pool1d(
        scores.transpose(1, 2), 2 * reach + 1, stride=1, padding=reach
    )
    return (scores == largest.transpose(1, 2)) & (scores >= _thresholds(model))


def count_detections(model: KeywordSpotter, batch: KeywordBatch) -> DetectionScore:
    """A word is found where its keyword is detected from its beginning to the end of its pool."""
    with torch.no_grad(), torch.autocast(batch.features.device.type, enabled=False):
        scores = model.scores(batch.features)
    targets, is_detected = targets_of(model, batch, scores.shape[1]), detections(model, scores)
    found = [
        bool(is_detected[row, first:end, output].any()) for row, output, first, end in targets.pools
    ]
    num_false = int((is_detected & targets.is_other).sum())
    return DetectionScore(len(found), sum(found), num_false, targets.num_steps * model.step_ms)


def _thresholds(model: KeywordSpotter) -> Tensor:
    """Of each keyword, as logits; (L,) float32."""
    config = model.config
    shares = [config.thresholds.get(keyword, config.threshold) for keyword in model.keywords]
    return torch.tensor([_logit(share) for share in shares])


def _logit(share: float) -> float:
    return math.log(share / (1 - share)) if 0 < share < 1 else (share - 0.5) * math.inf
