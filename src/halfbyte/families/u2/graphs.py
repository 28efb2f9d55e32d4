"""The graphs of a U2 model: the streaming encoder with its CTC head, and the decoder."""

import numpy as np
import torch
from torch import Tensor, nn

from halfbyte.blocks.whisper_decoder import WhisperDecoder
from halfbyte.families.family import Example, GraphSpec
from halfbyte.families.u2.model import U2

_BATCH, _FRAMES, _LEFT = "batch", "frames", "left_context"
_STEPS = 4  # of the example and of the test vector


class EncoderGraph(nn.Module):
    """A step whose state is a list in a fixed order: one chunk of features in, and out again."""

    def __init__(self, model: U2, state_names: list[str]):
        super().__init__()
        self.model = model
        self.state_names = state_names

    def forward(self, features: Tensor, state: list[Tensor]) -> tuple[Tensor, ...]:
        """features (B, T, F) float32 -> encoder output, CTC log-probabilities, next states."""
        named = dict(zip(self.state_names, state, strict=True))
        encoded, log_probs, following = self.model.step(features, named)
        return encoded, log_probs, *(following[name] for name in self.state_names)


def encoder_graph(model: U2) -> GraphSpec:
    """The streaming encoder with its CTC head."""
    with torch.no_grad():
        states = {n: v.contiguous() for n, v in model.encoder.initial_state(1).items()}
    subsampling = model.encoder.subsampling
    window = _STEPS * subsampling.rate + subsampling.overlap_frames
    num_bins = model.encoder.feature_norm.mean.shape[0]
    # Each a half, so that the file stores them exactly.
    random = np.random.default_rng(1).normal(12.0, 3.0, (1, window, num_bins))
    features = torch.from_numpy(random.astype(np.float16).astype(np.float32))
    return GraphSpec(
        EncoderGraph(model, list(states)),
        {"features": Example(torch.zeros(2, window, num_bins), {0: _BATCH, 1: _FRAMES})},
        ("encoder_out", "ctc_log_probs"),
        {name: Example(value, _state_axes(name, value.dim())) for name, value in states.items()},
        {"features": features},
    )


def decoder_graph(model: U2) -> GraphSpec:
    """The attention decoder: tokens and encoder output to log-probabilities."""
    tokens, memory = torch.ones(3, 5, dtype=torch.int64), torch.zeros(1, 7, model.decoder.width)
    inputs = {
        "tokens": Example(tokens, {0: "hypotheses", 1: "tokens"}),
        "memory": Example(memory, {1: "steps"}),
    }
    return GraphSpec(model.decoder, inputs, ("log_probs",))


class DecoderBegin(nn.Module):
    """WhisperDecoder.begin as a graph."""

    def __init__(self, decoder: WhisperDecoder):
        super().__init__()
        self.decoder = decoder

    def forward(self, tokens: Tensor, memory: Tensor) -> tuple[Tensor, ...]:
        """See WhisperDecoder.begin."""
        return self.decoder.begin(tokens, memory)


class DecoderStep(DecoderBegin):
    """WhisperDecoder.step as a graph."""

    def forward(  # type: ignore[override]
        self, tokens: Tensor, cache: Tensor, memory_cache: Tensor
    ) -> tuple[Tensor, ...]:
        """See WhisperDecoder.step."""
        return self.decoder.step(tokens, cache, memory_cache)


def cached_graphs(decoder: WhisperDecoder) -> dict[str, GraphSpec]:
    """The decoder token by token."""
    tokens, memory = torch.ones(1, 1, dtype=torch.int64), torch.zeros(1, 7, decoder.width)
    with torch.no_grad():
        _, cache, memory_cache = decoder.begin(tokens, memory)
    begin = {
        "tokens": Example(tokens, {}),
        "memory": Example(memory, {1: "steps"}),
    }
    step = {
        "tokens": Example(tokens.repeat(3, 1), {0: "hypotheses"}),
        "cache": Example(cache.repeat(3, 2, 1), {0: "hypotheses", 1: "past"}),
        "memory_cache": Example(memory_cache, {1: "memory_steps"}),
    }
    outputs = "log_probs", "cache_out"
    return {
        "decoder_begin": GraphSpec(DecoderBegin(decoder), begin, (*outputs, "memory_cache")),
        "decoder_step": GraphSpec(DecoderStep(decoder), step, outputs),
    }


def _state_axes(name: str, rank: int) -> dict[int, str]:
    """Open axes of a state tensor: the batch, and where there is one the left context."""
    part = name.rpartition(".")[2]
    left_axis = {"key": rank - 2, "value": rank - 2, "valid": 1}.get(part)
    return {0: _BATCH} if left_axis is None else {0: _BATCH, left_axis: _LEFT}
