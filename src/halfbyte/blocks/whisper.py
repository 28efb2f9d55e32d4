"""Whisper as blocks of ours: its encoder under chunk masks with a state, and its decoder.

What is Whisper's: two convolutions, pre-norm Transformer layers, sinusoids added to the input.
What is ours, so that it streams: the convolutions see the overlap of a chunk's window instead of
padding; attention sees a chunk and a bounded left context; positions count from the start of the
segment; two steps of 20 ms are stacked into one. gelu(x) is taken as silu(1.702 · x) / 1.702, whose
factors the importer folds into the weights around it, so the block needs no operator that the
Conformer has not.

Source: Radford et al. 2022 (arXiv:2212.04356); the sigmoid form of GELU: Hendrycks and Gimpel 2016
(arXiv:1606.08415), section 2.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from halfbyte.blocks.attention import NOT_SEEN, Attention, MultiHead, weighted_sum
from halfbyte.blocks.leaves import split_heads
from halfbyte.blocks.masks import FULL_CONTEXT
from halfbyte.blocks.norm import LayerNorm
from halfbyte.quant.stored import StoredParameters

State = dict[str, Tensor]
Pair = tuple[Tensor, Tensor]  # keys and values

STACK = 2  # steps of 20 ms in one of the encoder's
GELU_SLOPE = 1.702  # gelu(x) is about silu(1.702 x) / 1.702
_ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "silu": nn.functional.silu,
    "gelu": nn.functional.gelu,
}


@dataclass
class WhisperConfig:
    """Sizes of Whisper's encoder; the defaults are those of tiny.

    Attributes:
        left_context: encoder steps (40 ms each) before its chunk that a step sees.
        activation: `silu` (folded, see above), or `gelu`, which is Whisper's own.
    """

    width: int = 384
    num_heads: int = 6
    feed_forward: int = 1536
    num_layers: int = 4
    left_context: int = 48
    activation: str = "silu"
    kind: str = "whisper"


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


def positions_of(steps: Tensor, width: int) -> Tensor:
    """Whisper's sinusoids: all sines, then all cosines, at width/2 frequencies from 1 to 1e-4.

    Args:
        steps: (...) float32, in steps of 20 ms.
        width: D, even.

    Returns:
        (..., D) float32.
    """
    half = width // 2
    exponent = torch.arange(half, dtype=torch.float32) * (-math.log(10000.0) / (half - 1))
    angle = steps.unsqueeze(-1) * torch.exp(exponent).to(steps.device)
    return torch.cat([angle.sin(), angle.cos()], dim=-1)


class FeatureAffine(nn.Module, StoredParameters):
    """y = (x - mean) · inverse_deviation: from natural logarithms to Whisper's range.

    Whisper's is (log10(e) + 4) / 4, which lies near -1 to 1 for speech.
    """

    mean: Tensor
    inverse_deviation: Tensor

    def __init__(self, num_bins: int):
        super().__init__()
        self.register_buffer("mean", torch.full((num_bins,), -4.0 * math.log(10.0)))
        self.register_buffer("inverse_deviation", torch.full((num_bins,), 0.25 / math.log(10.0)))

    def forward(self, features: Tensor) -> Tensor:
        """features: (B, T, F) float32 -> (B, T, F) float32."""
        return (features - self.stored(self.mean)) * self.stored(self.inverse_deviation)


def _threes(x: Tensor) -> Tensor:
    """Each three neighbouring rows side by side: (B, T, K) -> (B, T - 2, 3·K)."""
    last = x.shape[1] - 2
    return torch.cat([x[:, i : last + i] for i in range(3)], dim=-1)


def _threes_in_pairs(x: Tensor) -> Tensor:
    """Every second three of rows, in pairs: (B, T, K) -> (B, (T - 1) // 4 · 2, 3·K)."""
    last = x.shape[1] - 4
    rows = [x[:, i : last + i : 2 * STACK] for i in range(5)]
    pair = torch.cat(rows[:3], dim=-1), torch.cat(rows[2:], dim=-1)
    return torch.stack(pair, dim=2).flatten(1, 2)


class Stem(nn.Module):
    """Two convolutions of three frames, the second of stride 2, as linear layers.

    Weights (N, 3·K) in the order (time, channel). Step t is of frames 2t to 2t + 4, so neighbouring
    windows of the encoder share three frames, as those of `Subsampling` at rate 4 do.
    """

    def __init__(self, num_bins: int, width: int, activation: str):
        super().__init__()
        self.first = nn.Linear(3 * num_bins, width)
        self.second = nn.Linear(3 * width, width)
        self._activation = _ACTIVATIONS[activation]
        self._scale = 1.0 / GELU_SLOPE if activation == "silu" else 1.0

    rate = 2 * STACK  # feature frames of an encoder step
    overlap_frames = 3

    def num_steps(self, num_frames: Tensor) -> Tensor:
        """Encoder steps that so many feature frames give; (...) int64 -> (...) int64."""
        return ((num_frames - self.overlap_frames) // self.rate).clamp_min(0)

    def forward(self, features: Tensor, padding: int = 0) -> Tensor:
        """Frames to steps of 20 ms.

        Args:
            features: (B, T, F) float32.
            padding: zeros that stand on both sides before each convolution; 1 as in Whisper.

        Returns:
            (B, (T - 3) // 4 · 2, D) float32 without padding, (B, (T + 1) // 4 · 2, D) with one.
        """
        around = (0, 0, padding, padding)
        x = self._activation(self.first(_threes(nn.functional.pad(features, around))))
        x = self._activation(self.second(_threes_in_pairs(nn.functional.pad(x, around))))
        return x.float() * self._scale


class Bands:
    """Chunks of a whole segment side by side, each with its left context.

    Every query of a chunk sees the same keys, so a mask would throw away most of the scores: with
    16 encoder steps and 48 of left context, three quarters of them at 11 s.

    Args:
        is_step: (B, T) bool, false where a row is padding.
        chunk: C, steps of 20 ms; left: L, likewise.
    """

    def __init__(self, is_step: Tensor, chunk: int, left: int):
        self._num_steps, self._chunk, self._left = is_step.shape[1], chunk, left
        self._tail = -is_step.shape[1] % chunk
        valid = nn.functional.pad(is_step.float(), (left, self._tail))
        valid = valid.unfold(1, left + chunk, chunk).flatten(0, 1)
        self.bias = ((valid - 1.0) * -NOT_SEEN)[:, None, None]  # (B·n, 1, 1, L + C)

    def queries(self, x: Tensor) -> Tensor:
        """(B, H, T, d) -> (B·n, H, C, d), n chunks."""
        return self._folded(nn.functional.pad(x, (0, 0, 0, self._tail)), self._chunk)

    def keys(self, x: Tensor) -> Tensor:
        """(B, H, T, d) -> (B·n, H, L + C, d)."""
        padded = nn.functional.pad(x, (0, 0, self._left, self._tail))
        return self._folded(padded, self._left + self._chunk)

    def _folded(self, x: Tensor, window: int) -> Tensor:
        return x.unfold(2, window, self._chunk).permute(0, 2, 1, 4, 3).flatten(0, 1)

    def unfolded(self, x: Tensor, batch: int) -> Tensor:
        """(B·n, H, C, d) -> (B, H, T, d)."""
        x = x.unflatten(0, (batch, -1)).transpose(1, 2).flatten(2, 3)
        return x[:, :, : self._num_steps]


def _rows_apart(x: Tensor) -> Tensor:
    """(B, H, L, 2·d) -> (B, H, 2·L, d)."""
    return x.unflatten(3, (STACK, -1)).flatten(2, 3)


def _rows_stacked(x: Tensor) -> Tensor:
    """(B, H, 2·L, d) -> (B, H, L, 2·d)."""
    return x.unflatten(2, (-1, STACK)).flatten(3)


class StreamingAttention(MultiHead):
    """softmax(q · kᵀ / sqrt(D/H)) · v over the left context and the chunk."""

    def forward(self, x: Tensor, bands: Bands) -> Tensor:
        """Every chunk of a padded batch at once; (B, T, D) float32 -> (B, T, D) float32."""
        query, key, value = self._heads(x)
        mixed = nn.functional.scaled_dot_product_attention(
            bands.queries(query), bands.keys(key), bands.keys(value), bands.bias.to(query.dtype)
        )
        return self.out(bands.unfolded(mixed, x.shape[0]).transpose(1, 2).flatten(2))

    def step(
        self, x: Tensor, past_key: Tensor, past_value: Tensor, bias: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Attend from a chunk to itself and to what came before.

        Args:
            x: (B, 2·C, D) float32, the chunk.
            past_key: (B, H, L, 2·D/H) float32, keys of the left context, a row an encoder step.
            past_value: the same of its values.
            bias: broadcastable to (B, H, 2·C, 2·(L + C)) float32, 0 or NOT_SEEN.

        Returns:
            (B, 2·C, D) float32 and the keys and values of left context and chunk.
        """
        query, key, value = self._heads(x)
        key = torch.cat([past_key, _rows_stacked(key)], dim=2)
        value = torch.cat([past_value, _rows_stacked(value)], dim=2)
        scores = torch.matmul(query, _rows_apart(key).transpose(-2, -1))
        mixed = weighted_sum(scores, _rows_apart(value), bias, self.dropout)
        return self.out(mixed), key, value

    def _heads(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        query, key, value = (
            split_heads(layer(x), self.num_heads) for layer in (self.query, self.key, self.value)
        )
        return query, key, value


class WhisperLayer(nn.Module):
    """Attention and feed-forward, norms first."""

    def __init__(self, config: WhisperConfig):
        super().__init__()
        self.norm_attention = LayerNorm(config.width)
        self.attention = StreamingAttention(config.width, config.num_heads, dropout=0.0)
        self.norm_feed_forward = LayerNorm(config.width)
        self.expand = nn.Linear(config.width, config.feed_forward)
        self.contract = nn.Linear(config.feed_forward, config.width)
        self.activation = _ACTIVATIONS[config.activation]

    def forward(self, x: Tensor, bands: Bands) -> Tensor:
        """See StreamingAttention.forward."""
        return self._fed_forward(x + self.attention(self.norm_attention(x), bands))

    def step(
        self, x: Tensor, past_key: Tensor, past_value: Tensor, bias: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """See StreamingAttention.step."""
        y, key, value = self.attention.step(self.norm_attention(x), past_key, past_value, bias)
        return self._fed_forward(x + y), key, value

    def _fed_forward(self, x: Tensor) -> Tensor:
        return x + self.contract(self.activation(self.expand(self.norm_feed_forward(x))))


class WhisperEncoder(nn.Module):
    """Features to encoder steps of 40 ms, chunk by chunk or a whole segment at once.

    `forward` runs all chunks of a padded batch (training), `step` one chunk with a state (ONNX, the
    device); both give the same numbers.

    State, all float32, a row for each encoder step of the left context: `state.{i}.key`,
    `state.{i}.value` (B, H, L, 2·D/H) for each layer i; `state.valid` (B, L), 1 where a slot is
    filled; `state.offset` (B, 1), steps of 20 ms so far.
    """

    def __init__(self, config: WhisperConfig, num_bins: int = 80):
        super().__init__()
        self.config = config
        self.output_width = STACK * config.width
        self.feature_norm = FeatureAffine(num_bins)
        self.subsampling = Stem(num_bins, config.width, config.activation)
        self.layers = nn.ModuleList(WhisperLayer(config) for _ in range(config.num_layers))
        self.norm = LayerNorm(config.width)

    def forward(
        self, features: Tensor, num_frames: Tensor, chunk_steps: int = FULL_CONTEXT
    ) -> tuple[Tensor, Tensor]:
        """A padded batch, its chunks side by side.

        Args:
            features: (B, T, F) float32, padded with anything.
            num_frames: (B,) int64.
            chunk_steps: encoder steps of a chunk, or FULL_CONTEXT.

        Returns:
            (B, steps, 2·D) float32 and the number of steps of each utterance, (B,) int64.
        """
        x = self._embed(features)
        num_steps = self.subsampling.num_steps(num_frames)
        step = torch.arange(x.shape[1], device=x.device)
        is_step = step < STACK * num_steps[:, None]
        if chunk_steps == FULL_CONTEXT:
            bands = Bands(is_step, x.shape[1], 0)
        else:
            bands = Bands(is_step, STACK * chunk_steps, STACK * self.config.left_context)
        for layer in self.layers:
            x = layer(x, bands)
        return self._stacked(x), num_steps

    def step(self, features: Tensor, state: State) -> tuple[Tensor, State]:
        """One chunk with its left context.

        Args:
            features: (B, 4·C + 3, F) float32; the last chunk of a segment may be shorter.
            state: as `initial_state` or an earlier step returned it.

        Returns:
            (B, C, 2·D) float32 and the next state.
        """
        x = self._embed(features, state["state.offset"])
        left, chunk = state["state.valid"].shape[1], x.shape[1] // STACK
        valid = torch.cat([state["state.valid"], torch.ones_like(x[:, ::STACK, 0])], dim=1)
        bias = ((valid - 1.0) * -NOT_SEEN).unsqueeze(2).expand(-1, -1, STACK)
        bias = bias.flatten(1)[:, None, None]
        offset = state["state.offset"] + STACK * chunk
        following = {"state.valid": valid[:, chunk:], "state.offset": offset}
        for i, layer in enumerate(self.layers):
            names = f"state.{i}.key", f"state.{i}.value"
            assert isinstance(layer, WhisperLayer)
            x, *grown = layer.step(x, state[names[0]], state[names[1]], bias)
            for name, rows in zip(names, grown, strict=True):
                following[name] = rows[:, :, rows.shape[2] - left :]
        return self._stacked(x), following

    def initial_state(self, batch: int) -> State:
        """The state before the first chunk of B streams."""
        config = self.config
        left, head_width = config.left_context, config.width // config.num_heads
        heads = (batch, config.num_heads, left, STACK * head_width)
        new = self.norm.weight.new_zeros
        state = {"state.valid": new(batch, left), "state.offset": new(batch, 1)}
        for i in range(config.num_layers):
            state[f"state.{i}.key"], state[f"state.{i}.value"] = new(heads), new(heads)
        return state

    def _embed(self, features: Tensor, offset: Tensor | None = None) -> Tensor:
        """The steps of the stem, plus sinusoids counted from `offset` (B, 1) or 0."""
        x = self.subsampling(self.feature_norm(features))
        step = torch.arange(x.shape[1], dtype=torch.float32, device=x.device)
        if offset is not None:
            step = offset + step
        return x + positions_of(step, self.config.width)

    def _stacked(self, x: Tensor) -> Tensor:
        return self.norm(x).unflatten(1, (-1, STACK)).flatten(2)


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
        self.activation = _ACTIVATIONS[config.activation]

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
    same for all: Whisper's start of a transcript. Embedding and output layer, one matrix in
    Whisper, are two, so that our boundary may be one token as input (the last of Whisper's prompt)
    and another as label (the end of the text).

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
        self.position = nn.Embedding(config.num_positions, width)
        self.layers = nn.ModuleList(
            WhisperDecoderLayer(config, width) for _ in range(config.num_layers)
        )
        self.norm = LayerNorm(width)
        self.output = nn.Linear(width, num_tokens)

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
        x = self.embedding(tokens) + self.position(place)
        x, new = self._layers(x, self._apart(cache), self._apart(memory_cache))
        return self._log_probs(x), new

    def _begun(self, tokens: Tensor) -> Tensor:
        step = torch.arange(tokens.shape[1], device=tokens.device)
        x = self.embedding(tokens) + self.position(step)
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
