"""Whisper's decoder as a block of ours: whole sentences, or token by token with a cache.

Source: Radford et al. 2022 (arXiv:2212.04356).
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from halfbyte.blocks.attention import NOT_SEEN, Attention
from halfbyte.blocks.norm import LayerNorm
from halfbyte.blocks.shared_weight import share_weight
from halfbyte.blocks.whisper import ACTIVATIONS, STACK
from halfbyte.quant.stored import StoredParameters

Pair = tuple[Tensor, Tensor]  # keys and values


@dataclass
class WhisperDecoderConfig:
    """Sizes of Whisper's decoder, as wide as the encoder; the defaults are those of tiny.

    Attributes:
        num_positions: longest sentence in tokens, its boundary counted; Whisper's less the start.
        activation: see WhisperConfig.
    """

    num_heads: int = 6
    feed_forward: int = 1536
    num_layers: int = 4
    num_positions: int = 447
    activation: str = "silu"
    kind: str = "whisper"


class WhisperDecoderLayer(nn.Module):
    """Self-attention, attention to the encoder, feed-forward; norms come first."""

    def __init__(self, config: WhisperDecoderConfig, width: int):
        super().__init__()
        heads = config.num_heads
        self.norm_self = LayerNorm(width)
        self.self_attention = Attention(width, heads, dropout=0.0)
        self.norm_memory = LayerNorm(width)
        self.memory_attention = Attention(width, heads, dropout=0.0)
        self.norm_feed_forward = LayerNorm(width)
        self.expand = nn.Linear(width, config.feed_forward)
        self.contract = nn.Linear(config.feed_forward, width)
        self.activation = ACTIVATIONS[config.activation]

    def forward(
        self, x: Tensor, past: Pair | None, memory: Pair, causal: Tensor, memory_bias: Tensor
    ) -> tuple[Tensor, Pair]:
        """Some tokens more.

        Args:
            x: (N, L, D) float32.
            past: keys and values of the tokens before, (N, P, D) float32 each.
            memory: keys and values of the encoder's output, (N or 1, T, D) float32 each.
            causal: broadcastable to (N, H, L, P + L) float32, 0 or NOT_SEEN; memory_bias: to
                (N, H, L, T).

        Returns:
            (N, L, D) float32, and keys and values of these tokens.
        """
        y = self.norm_self(x)
        new = self.self_attention.key(y), self.self_attention.value(y)
        key, value = (
            (torch.cat(rows, dim=1) for rows in zip(past, new, strict=True)) if past else new
        )
        x = x + self.self_attention.attend(y, key, value, causal)
        x = x + self.memory_attention.attend(self.norm_memory(x), *memory, memory_bias)
        x = x + self.contract(self.activation(self.expand(self.norm_feed_forward(x))))
        return x, new


class WhisperDecoder(nn.Module, StoredParameters):
    """P(next token | tokens so far, encoder output), as `Decoder`, with Whisper's weights.

    Differs from `Decoder` in that positions are learned, embeddings are not scaled, and the
    encoder's stacked steps are taken apart again. Before every sentence stands an input that is the
    same for all: Whisper's start of a transcript.

    Embedding and output layer are one matrix, as in Whisper. Our boundary is Whisper's end of the
    text there; that as input it is the last token of Whisper's prompt lies in the first row of the
    positions, which no other token has. One column of Whisper's matrix is 15 times the others,
    which would leave those few of 16 codes. So the importer divides each row by `columns`, the
    roots of the columns' sizes, and the embedding is multiplied by them again; the last norm, whose
    output the matrix meets at the end, has them in its weights.

    Args:
        memory_width: of the encoder's stacked steps, 2·D.
        num_tokens: V.
    """

    def __init__(self, config: WhisperDecoderConfig, memory_width: int, num_tokens: int):
        super().__init__()
        self.width, width = memory_width, memory_width // STACK
        self.longest = config.num_positions - 1
        self.start = nn.Parameter(torch.zeros(width))
        self.embedding = nn.Embedding(num_tokens, width)
        self.columns = nn.Parameter(torch.ones(width))
        self.position = nn.Embedding(config.num_positions, width)
        self.layers = nn.ModuleList(
            WhisperDecoderLayer(config, width) for _ in range(config.num_layers)
        )
        self.norm = LayerNorm(width)
        self.output = nn.Linear(width, num_tokens)
        share_weight(self, "embedding", "output")

    def forward(self, tokens: Tensor, memory: Tensor, memory_bias: Tensor | None = None) -> Tensor:
        """Log-probabilities of the token after each position.

        Args:
            tokens: (N, L) int64, L - 1 at most `longest`.
            memory: (N or 1, T, 2·D) float32, encoder output.
            memory_bias: (N, 1, 1, T) float32, NOT_SEEN where memory is padding.

        Returns:
            (N, L, V) float32.
        """
        if memory_bias is not None:
            memory_bias = memory_bias.repeat_interleave(STACK, dim=3)
        x, _ = self._layers(self._begun(tokens), None, self._memories(memory), memory_bias)
        return self._log_probs(x[:, 1:])

    def begin(self, tokens: Tensor, memory: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The first token of a search that goes on by `step`.

        Args:
            tokens: (1, 1) int64, the boundary.
            memory: (1, T, 2·D) float32, encoder output.

        Returns:
            log-probabilities (1, 1, V), cache (1, 2, K) and memory cache (1, 2·T, K), K = 2·D for
            each layer, all float32.
        """
        memories = self._memories(memory)
        x, cache = self._layers(self._begun(tokens), None, memories)
        return self._log_probs(x[:, 1:]), cache, _joined(memories)

    def step(self, tokens: Tensor, cache: Tensor, memory_cache: Tensor) -> Pair:
        """One token more of each hypothesis, with the numbers of `forward`.

        Args:
            tokens: (N, 1) int64.
            cache: (N, P, K) float32, of the tokens before; what `begin` and `step` returned.
            memory_cache: (1, 2·T, K) float32, as `begin` returned it.

        Returns:
            log-probabilities (N, 1, V) and the token's rows of the cache, (N, 1, K).
        """
        place = torch.arange(cache.shape[1] - 1, cache.shape[1], device=tokens.device)
        x = self._embedded(tokens) + self.position(place)
        x, new = self._layers(x, self._apart(cache), self._apart(memory_cache))
        return self._log_probs(x), new

    def _embedded(self, tokens: Tensor) -> Tensor:
        return self.embedding(tokens) * self.stored(self.columns)

    def _begun(self, tokens: Tensor) -> Tensor:
        step = torch.arange(tokens.shape[1], device=tokens.device)
        x = self._embedded(tokens) + self.position(step)
        return torch.cat([self.stored(self.start).expand(x.shape[0], 1, -1), x], dim=1)

    def _memories(self, memory: Tensor) -> list[Pair]:
        memory = memory.unflatten(2, (STACK, -1)).flatten(1, 2)
        heads = [layer.memory_attention for layer in self.layers]
        return [(head.key(memory), head.value(memory)) for head in heads]  # type: ignore[operator, union-attr]

    def _layers(
        self,
        x: Tensor,
        past: list[Pair] | None,
        memories: list[Pair],
        memory_bias: Tensor | None = None,
    ) -> Pair:
        """All layers; also the keys and values of these tokens, (N, L, K) float32."""
        bias = torch.zeros(1, 1, 1, 1, device=x.device) if memory_bias is None else memory_bias
        causal = torch.zeros(1, 1, 1, 1, device=x.device)
        if past is None:
            step = torch.arange(x.shape[1], device=x.device)
            causal = torch.where(step[None] <= step[:, None], 0.0, NOT_SEEN)
        news = []
        for i, layer in enumerate(self.layers):
            x, new = layer(x, past[i] if past else None, memories[i], causal, bias)
            news.append(new)
        return x, _joined(news)

    def _apart(self, cache: Tensor) -> list[Pair]:
        parts = cache.chunk(2 * len(self.layers), dim=2)
        return list(zip(parts[::2], parts[1::2], strict=True))

    def _log_probs(self, x: Tensor) -> Tensor:
        return torch.log_softmax(self.output(self.norm(x)).float(), dim=-1)


def _joined(pairs: list[Pair]) -> Tensor:
    return torch.cat([part for pair in pairs for part in pair], dim=2)
