"""Whisper's encoder as a block of ours: under chunk masks, with a state.

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

from halfbyte.blocks.attention import NOT_SEEN, MultiHead, weighted_sum
from halfbyte.blocks.leaves import split_heads
from halfbyte.blocks.masks import FULL_CONTEXT
from halfbyte.blocks.norm import LayerNorm
from halfbyte.quant.stored import StoredParameters

State = dict[str, Tensor]

STACK = 2  # steps of 20 ms in one of the encoder's
GELU_SLOPE = 1.702  # gelu(x) is about silu(1.702 x) / 1.702
ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
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
        self._activation = ACTIVATIONS[activation]
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
        self.activation = ACTIVATIONS[config.activation]

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
