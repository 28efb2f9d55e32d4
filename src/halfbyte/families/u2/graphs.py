"""The graphs of a U2 model beside its encoder: the decoder, whole and token by token."""

import torch
from torch import Tensor, nn

from halfbyte.blocks.whisper_decoder import WhisperDecoder
from halfbyte.families.family import Example, GraphSpec
from halfbyte.families.u2.model import U2


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
