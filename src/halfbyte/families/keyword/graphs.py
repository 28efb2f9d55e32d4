"""The one graph of a keyword spotter: frames in, logits of every step out."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from halfbyte.families.family import Example, GraphSpec
from halfbyte.families.keyword.model import KeywordSpotter, Network

_STEPS = 4  # of the example and of the test vector


class SpotterGraph(nn.Module):
    """A step whose state is a list in a fixed order."""

    def __init__(self, network: Network):
        super().__init__()
        self.network = network

    def forward(self, features: Tensor, states: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """features (B, T·frames, F) float32 -> logits (B, T, L) float32, next states."""
        memories = self.network.memories
        past = [m.restored(state) for m, state in zip(memories, states, strict=True)]
        logits, following = self.network(features, past)
        return logits, *(m.stored(kept) for m, kept in zip(memories, following, strict=True))


def spotter_graph(model: KeywordSpotter) -> GraphSpec:
    """The graph `spotter`; its states are the steps that each block looks back at."""
    network = model.network
    with torch.no_grad():
        pasts = zip(network.memories, network.empty(1), strict=True)
        empty = [memory.stored(past) for memory, past in pasts]
    num_bins = len(network.feature_norm.mean)
    window = _STEPS * network.frames_per_step
    # Each a half, so that the file stores them exactly.
    features = torch.randn(1, window, num_bins, generator=torch.Generator().manual_seed(1)) * 3 + 12
    return GraphSpec(
        SpotterGraph(network),
        {"features": Example(torch.zeros(2, window, num_bins), {0: "batch", 1: "frames"})},
        ("logits",),
        {f"state.{i}": Example(past, {0: "batch"}) for i, past in enumerate(empty)},
        {"features": features.half().float()},
    )
