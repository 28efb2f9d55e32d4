"""The window network: frames to a logit of every keyword, step by step.

    entry:  (frames of a step) -> dense, batch norm, ReLU -> width
    block:  dense, batch norm, ReLU -> bottleneck; stack steps t, t - d, t - 2d; dense … -> width
    head:   dense -> one logit for each keyword

Nothing recurs: the logits of a step are a function of the frames of its window alone. What a block
has of earlier steps is kept, so that each step is computed once. The gain of a dense layer is that
of its batch norm, which native layers fold into weight and bias (ops/folding.py).
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from halfbyte.blocks.encoder import FeatureNorm
from halfbyte.blocks.leaves import Memory, Numbers, Relu
from halfbyte.errors import ConfigError
from halfbyte.families.family import Inputs
from halfbyte.families.keyword.config import KeywordConfig
from halfbyte.ops.coded import Coded
from halfbyte.ops.folding import NormedLinear

AT_FIRST = -4.0  # logit of a fresh model: words are rare


class Dense(nn.Module):
    """y = relu(batch norm(W x))."""

    def __init__(self, num_inputs: int, num_outputs: int):
        super().__init__()
        self.product = NormedLinear(num_inputs, num_outputs, bias=False)
        self.relu = Relu()

    def forward(self, x: Tensor) -> Tensor:
        """(..., K) -> (..., N)."""
        y: Tensor = self.relu(self.product(x))
        return y


class Block(nn.Module):
    """A bottleneck whose steps are stacked before they are widened again."""

    def __init__(self, config: KeywordConfig, dilation: int):
        super().__init__()
        self.num_stacked, self.dilation = config.stacked_steps, dilation
        self.narrow = Dense(config.width, config.bottleneck)
        self.memory = Memory()
        self.wide = Dense(config.stacked_steps * config.bottleneck, config.width)

    @property
    def num_kept(self) -> int:
        """Earlier steps that it looks at."""
        return (self.num_stacked - 1) * self.dilation

    def forward(self, x: Tensor, past: Tensor) -> tuple[Tensor, Tensor]:
        """x (B, C, D), past (B, kept, R) -> (B, C, D) and the next past."""
        steps, kept = self.memory(past, self.narrow(x))
        return self.wide(self._stacked(steps)), kept

    def _stacked(self, steps: Any) -> Any:
        if isinstance(steps, Coded):  # elements only move: so does their range
            return Coded(self._stacked(steps.value), steps.range)
        chunk = steps.shape[1] - self.num_kept
        starts = range(0, self.num_kept + 1, self.dilation)
        return torch.cat([steps[:, start : start + chunk] for start in starts], dim=-1)


class Network(nn.Module):
    """Features to logits; what integer-only mode takes over."""

    def __init__(self, config: KeywordConfig, num_bins: int, num_keywords: int):
        super().__init__()
        self.frames_per_step, self.bottleneck = config.frames_per_step, config.bottleneck
        self.feature_norm = FeatureNorm(num_bins)
        self.entry = Dense(config.frames_per_step * num_bins, config.width)
        self.blocks = nn.ModuleList(Block(config, dilation) for dilation in config.dilations)
        self.head = nn.Linear(config.width, num_keywords)
        nn.init.constant_(self.head.bias, AT_FIRST)
        self.numbers = Numbers()

    def empty(self, batch: int) -> list[Tensor]:
        """What stands before the first step: zeros."""
        like = self.feature_norm.mean.new_zeros(1, self.bottleneck)
        return [block.memory.empty(batch, block.num_kept, like) for block in self._blocks()]

    def forward(self, features: Tensor, past: Sequence[Tensor]) -> tuple[Tensor, list[Tensor]]:
        """features (B, T·frames, F), past of each block -> logits (B, T, L) and the next past."""
        by_step = features.unflatten(1, (-1, self.frames_per_step))
        x = self.entry(self.feature_norm(by_step).flatten(2))
        following = []
        for block, before in zip(self._blocks(), past, strict=True):
            x, kept = block(x, before)
            following.append(kept)
        return self.numbers(self.head(x)), following

    @property
    def memories(self) -> list[Memory]:
        """What keeps earlier steps, block by block."""
        return [block.memory for block in self._blocks()]

    def _blocks(self) -> list[Block]:
        return list(self.blocks)  # type: ignore[arg-type]


class KeywordSpotter(nn.Module):
    """A network, and what its logits are of.

    Attributes:
        keywords: their names, in the order of the logits.
        labels: their numbers among the labels of the corpus.
        step_ms: duration of a step.

    Raises:
        ConfigError: a keyword has no recordings.
    """

    def __init__(self, config: KeywordConfig, inputs: Inputs):
        super().__init__()
        labels: list[str] = inputs.vocabulary.tokens
        self.config = config
        self.step_ms = config.frames_per_step * inputs.features.frame_shift_ms
        self.keywords = config.keywords or labels[1:]
        for keyword in self.keywords:
            if keyword not in labels[1:]:
                raise ConfigError(
                    f"keyword {keyword!r} has no recordings in data.train; labels there are "
                    f"{', '.join(labels[1:])}"
                )
        for keyword in config.thresholds:
            if keyword not in self.keywords:
                raise ConfigError(
                    f"model.thresholds has {keyword!r}, which is no keyword of the model; expected "
                    f"some of {', '.join(self.keywords)}"
                )
        self.labels = [labels.index(keyword) for keyword in self.keywords]
        self.network = Network(config, inputs.features.num_mel_bins, len(self.keywords))

    def scores(self, features: Tensor) -> Tensor:
        """Smoothed logits of whole recordings, (B, T, F) float32 -> (B, T // frames a step, L).

        What the device compares with thresholds: the mean of the logits of the last
        `smoothing_steps` steps, of those there are at the beginning.
        """
        num_frames = features.shape[1] // self.config.frames_per_step * self.config.frames_per_step
        logits, _ = self.network(features[:, :num_frames], self.network.empty(len(features)))
        num_steps, num_smoothed = logits.shape[1], self.config.smoothing_steps
        padded = nn.functional.pad(logits.float().transpose(1, 2), (num_smoothed - 1, 0))
        sums = num_smoothed * nn.functional.avg_pool1d(padded, num_smoothed, stride=1)
        counts = torch.arange(1, num_steps + 1, device=sums.device).clamp_max(num_smoothed)
        return (sums / counts).transpose(1, 2)
