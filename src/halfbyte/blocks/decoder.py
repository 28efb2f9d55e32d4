"""An attention decoder: a left-to-right Transformer over tokens."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from halfbyte.blocks.attention import NOT_SEEN, Attention
from halfbyte.blocks.dropout import Dropout
from halfbyte.blocks.leaves import Relu, Residual
from halfbyte.blocks.norm import LayerNorm
from halfbyte.blocks.positions import sinusoids


@dataclass
class DecoderConfig:
    """Transformer decoder, which rescores what a search found."""

    num_layers: int = 2
    num_heads: int = 4
    feed_forward: int = 576
    dropout: float = 0.1
    kind: str = "transformer"


class DecoderLayer(nn.Module):
    """Self-attention, attention to the encoder, feed-forward with ReLU; norms come first."""

    def __init__(self, config: DecoderConfig, width: int):
        super().__init__()
        self.norm_self = LayerNorm(width)
        self.self_attention = Attention(width, config.num_heads, config.dropout)
        self.norm_memory = LayerNorm(width)
        self.memory_attention = Attention(width, config.num_heads, config.dropout)
        self.norm_feed_forward = LayerNorm(width)
        self.expand = nn.Linear(width, config.feed_forward)
        self.relu = Relu()
        self.contract = nn.Linear(config.feed_forward, width)
        self.dropout = Dropout(config.dropout)
        self.add_self = Residual(config.dropout)
        self.add_memory = Residual(config.dropout)
        self.add_feed_forward = Residual(config.dropout)

    def forward(self, x: Tensor, memory: Tensor, causal: Tensor, memory_bias: Tensor) -> Tensor:
        """x: (N, L, D), memory: (N or 1, T, D), biases as in Attention -> (N, L, D) float32."""
        y = self.norm_self(x)
        x = self.add_self(x, self.self_attention(y, y, causal))
        x = self.add_memory(x, self.memory_attention(self.norm_memory(x), memory, memory_bias))
        hidden = self.relu(self.expand(self.norm_feed_forward(x)))
        return self.add_feed_forward(x, self.contract(self.dropout(hidden)))


class Decoder(nn.Module):
    """P(next token | tokens so far, encoder output).

    Source: Vaswani et al. 2017 (arXiv:1706.03762), in WeNet's form: norms first, embeddings
    scaled by sqrt(D), sinusoids added, a norm before the output layer.
    """

    def __init__(self, config: DecoderConfig, width: int, num_tokens: int):
        super().__init__()
        self.width = width
        self.longest: float = math.inf  # sentence, in tokens without its boundary
        self.embedding = nn.Embedding(num_tokens, width)
        nn.init.normal_(self.embedding.weight, std=width**-0.5)
        self.dropout = Dropout(config.dropout)
        self.layers = nn.ModuleList(DecoderLayer(config, width) for _ in range(config.num_layers))
        self.norm = LayerNorm(width)
        self.output = nn.Linear(width, num_tokens)

    def forward(self, tokens: Tensor, memory: Tensor, memory_bias: Tensor | None = None) -> Tensor:
        """Log-probabilities of the token after each position.

        Args:
            tokens: (N, L) int64, beginning with start of sentence; padding after the end
                changes nothing before it.
            memory: (N or 1, T, D) float32, encoder output.
            memory_bias: (N, 1, 1, T) float32, NOT_SEEN where memory is padding.

        Returns:
            (N, L, V) float32.
        """
        step = torch.arange(tokens.shape[1], device=tokens.device)
        causal = torch.where(step[None] <= step[:, None], 0.0, NOT_SEEN)
        if memory_bias is None:
            memory_bias = torch.zeros(1, 1, 1, 1, device=memory.device)
        x = self.embedding(tokens) * self.width**0.5 + sinusoids(step.float(), self.width)
        x = self.dropout(x)
        for layer in self.layers:
            x = layer(x, memory, causal, memory_bias)
        return torch.log_softmax(self.output(self.norm(x)).float(), dim=-1)
