"""A family from elsewhere that is no recogniser: a score of every label for each feature frame.

`family: toy.frame_detector`, with the manifests' `intervals` to learn from; the device's half is
frame_detector.cc.
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from halfbyte.blocks.encoder import FeatureNorm
from halfbyte.data.frames import PADDING, FrameBatch, Frames
from halfbyte.families.family import Example, Family, GraphSpec, Inputs, Losses, Stage
from halfbyte.scores.frames import FrameScore

MEMORY_FRAMES = 2  # before each frame, that it sees


@dataclass
class Config:
    """Sizes and schedule."""

    width: int = 16
    head_epochs: int = 1  # of the second stage, which trains the head alone


class Detector(nn.Module):
    """Logits of each label from a frame and the two before it."""

    def __init__(self, width: int, num_bins: int, labels: list[str]):
        super().__init__()
        self.labels = labels
        self.feature_norm = FeatureNorm(num_bins)
        self.inner = nn.Linear(num_bins, width)
        self.head = nn.Linear((1 + MEMORY_FRAMES) * width, len(labels))

    def forward(self, features: Tensor, states: list[Tensor]) -> tuple[Tensor, Tensor]:
        """(B, T, F) and [(B, 2, W)] -> (B, T, labels) and the next state, all float32."""
        x = torch.relu(self.inner(self.feature_norm(features)).float())
        frames = torch.cat([states[0], x], dim=1)
        seen = [frames[:, i : i + x.shape[1]] for i in range(1 + MEMORY_FRAMES)]
        return self.head(torch.cat(seen, -1)).float(), frames[:, frames.shape[1] - MEMORY_FRAMES :]

    def initial_state(self, batch: int) -> Tensor:
        """Nothing heard yet."""
        return torch.zeros(batch, MEMORY_FRAMES, self.inner.out_features)


class FrameDetector(Family[Detector, FrameBatch]):
    """In float first; then the head alone in the configured format."""

    Config = Config
    needs = Frames()

    def build(self, config: Config, inputs: Inputs) -> Detector:
        return Detector(config.width, inputs.features.num_mel_bins, inputs.vocabulary.tokens[1:])

    def stages(self, config: Config) -> list[Stage]:
        schedule = f"loop.epochs={config.head_epochs}"
        return [
            Stage("float", overrides=("quantization.default=float32",)),
            Stage("head", trainable=("head.*",), overrides=(schedule,)),
        ]

    def outputs(self, model: Detector, batch: FrameBatch, draw: Any = None) -> Tensor:
        return model(batch.features, [model.initial_state(len(batch))])[0]

    def loss(self, model: Detector, outputs: Tensor, batch: FrameBatch) -> Losses:
        wanted = nn.functional.one_hot(batch.labels.clamp_min(0), len(model.labels) + 1)[..., 1:]
        loss = nn.functional.binary_cross_entropy_with_logits(
            outputs, wanted.float(), reduction="none"
        )
        is_frame = batch.labels != PADDING
        return Losses((loss.mean(-1) * is_frame).sum() / is_frame.sum(), {})

    def divergence(self, model: Detector, outputs: Tensor, teacher: Tensor) -> Losses:
        apart = (outputs - teacher).square().mean()
        return Losses(apart, {"scores": apart.detach()})

    def validate(self, model: Detector, batch: FrameBatch, inputs: Inputs) -> FrameScore:
        with torch.no_grad():
            best, label = self.outputs(model, batch).max(-1)
        detected, labels = torch.where(best >= 0, label + 1, 0), batch.labels
        is_frame = labels != PADDING
        return FrameScore(
            int((detected > 0)[is_frame].sum()),
            int((labels > 0).sum()),
            int(((detected == labels) & (labels > 0)).sum()),
        )

    def graphs(self, model: Detector) -> dict[str, GraphSpec]:
        num_bins = model.inner.in_features
        features = Example(torch.zeros(2, 5, num_bins), {0: "batch", 1: "frames"})
        spec = GraphSpec(
            model,
            {"features": features},
            ("scores",),
            {"state.memory": Example(model.initial_state(1), {0: "batch"})},
            {"features": torch.linspace(5, 20, 4 * num_bins).half().float().view(1, 4, num_bins)},
        )
        return {"detector": spec}

    def metadata(self, model: Detector, inputs: Inputs) -> dict[str, Any]:
        streaming = {
            "subsampling": 1,
            "overlap_frames": 0,
            "chunk_steps": 8,
            "chunk_choices_steps": [1, 8],
            "left_context_steps": 0,
            "max_segment_ms": 1000,
        }
        return {"streaming": streaming, "labels": model.labels, "speakers": [], "threshold": 0.0}


FAMILY = FrameDetector()
