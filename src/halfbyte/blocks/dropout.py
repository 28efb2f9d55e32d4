"""Dropout from one cheap draw of random bytes.

torch's own draws a float per element, which took over a third of a training step on a CPU.
"""

import torch
from torch import Tensor, nn


class Dropout(nn.Module):
    """Zero each element with probability round(256 · p) / 256 in training, scale the others up."""

    def __init__(self, probability: float):
        super().__init__()
        self.threshold = round(256 * probability)

    def forward(self, x: Tensor) -> Tensor:
        """x: any shape, float -> the same."""
        if not self.training or self.threshold == 0:
            return x
        words = torch.randint(-(2**63), 2**63 - 1, ((x.numel() + 7) // 8,), device=x.device)
        kept = words.view(torch.uint8)[: x.numel()].view(x.shape) >= self.threshold
        return x * (kept * (256 / (256 - self.threshold))).to(x.dtype)

    def integer(self) -> nn.Module:
        """Nothing: it would take values off their codes."""
        return nn.Identity()
