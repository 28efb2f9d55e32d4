"""Multi-head attention: with relative positions for the encoder, plain for the decoder."""

import math

import torch
from torch import Tensor, nn
from torch.onnx import is_in_onnx_export

from halfbyte.blocks.dropout import Dropout
from halfbyte.blocks.leaves import HeadMemory, split_heads
from halfbyte.blocks.positions import shift_distances
from halfbyte.errors import ConfigError
from halfbyte.ops import chunk_attention
from halfbyte.ops.int_attention import IntegerAttend
from halfbyte.quant.stored import StoredParameters

NOT_SEEN = -1e9  # added to a score that must not count; its weight is then exactly 0


class Mask(nn.Module):
    """Which keys are seen, as what is added to scores: 0 or NOT_SEEN."""

    def start(self, batch: int, left_context: int, like: Tensor) -> Tensor:
        """No slot of left context is filled yet: (B, L) float32 zeros."""
        return like.new_zeros(batch, left_context)

    def forward(self, visible: Tensor) -> Tensor:
        """(B, C, K) bool, or (B, K) float32 of 0 and 1 -> broadcastable to (B, H, C, K) float32."""
        if visible.dim() == 3:
            return torch.where(visible, 0.0, NOT_SEEN).unsqueeze(1)
        return ((visible - 1.0) * -NOT_SEEN)[:, None, None]

    def integer(self) -> nn.Module:
        """The same, in int8."""
        return IntegerMask()


class IntegerMask(nn.Module):
    """Which keys are seen, as attention on integers takes it."""

    def start(self, batch: int, left_context: int, like: Tensor) -> Tensor:
        """No slot of left context is filled yet: (B, L) int8 zeros."""
        return like.new_zeros(batch, left_context, dtype=torch.int8)

    def forward(self, visible: Tensor) -> Tensor:
        """(B, C, K) bool or (B, K) int8 -> the same."""
        return visible


class Attend(nn.Module, StoredParameters):
    """y_i = Σ_j softmax_j(((q_i + u) · k_j + (q_i + v) · p) / sqrt(D/H)) · v_j, head by head."""

    def __init__(self, num_heads: int, dropout: float, shift: bool):
        super().__init__()
        self.num_heads, self.shift = num_heads, shift
        self.keys, self.values = HeadMemory(num_heads), HeadMemory(num_heads)
        self.dropout = Dropout(dropout)

    def forward(
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        past: tuple[Tensor, Tensor],
        positions: Tensor,
        biases: tuple[Tensor, Tensor],
        mask: Tensor,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Attend from a chunk to its left context and itself.

        Args:
            query, key, value: (B, C, D) float32.
            past: keys and values of the left context, (B, H, L, D/H) float32.
            positions: (P, D) or (B, P, D) float32, projected.
            biases: u and v, (H, 1, D/H) float32.
            mask: broadcastable to (B, H, C, K) float32.

        Returns:
            (B, C, D) float32, and keys and values without the C oldest.
        """
        u, v = (self.stored(bias) for bias in biases)
        rows = positions if positions.dim() == 3 else positions.unsqueeze(0)
        far = split_heads(rows, self.num_heads).transpose(-2, -1)
        if is_in_onnx_export():
            scale = 1.0 / math.sqrt(u.shape[-1])
            operands = query, key, value
            return chunk_attention.emit(operands, past, far, (u, v), mask, scale, self.shift)
        queries = split_heads(query, self.num_heads)
        keys, kept_key = self.keys(past[0], key)
        values, kept_value = self.values(past[1], value)
        by_content = torch.matmul(queries + u, keys.transpose(-2, -1))
        by_position = torch.matmul(queries + v, far)
        if self.shift:
            by_position = shift_distances(by_position, keys.shape[2])
        y = weighted_sum(by_content + by_position, values, mask, self.dropout)
        return y, kept_key, kept_value

    def integer(self) -> nn.Module:
        """Scores, softmax and mean on integers."""
        if not self.shift:
            raise ConfigError("integer-only models need model.encoder.relative_shift=true")
        return IntegerAttend(self.num_heads)


def weighted_sum(scores: Tensor, value: Tensor, mask: Tensor, dropout: nn.Module) -> Tensor:
    """scores (B, H, Q, K), value (B, H, K, D/H) -> (B, Q, D), weighted by the scores' softmax."""
    scores = scores.float() * (1.0 / math.sqrt(value.shape[-1])) + mask
    weights = dropout(torch.softmax(scores, dim=-1))
    return torch.matmul(weights, value).transpose(1, 2).flatten(2)


class RelativeAttention(nn.Module, StoredParameters):
    """score_ij = ((q_i + u) · k_j + (q_i + v) · p) / sqrt(D/H), softmax over j.

    p is the projected sinusoid of the distance i - j (textbook), or of the position of key j
    (WeNet, which leaves out the shift).

    Source: Dai et al. 2019 (arXiv:1901.02860); WeNet's RelPositionMultiHeadedAttention.
    """

    def __init__(self, width: int, num_heads: int, dropout: float, shift: bool):
        super().__init__()
        self.query = nn.Linear(width, width)
        self.key = nn.Linear(width, width)
        self.value = nn.Linear(width, width)
        self.out = nn.Linear(width, width)
        self.attend = Attend(num_heads, dropout, shift)
        self.position = nn.Linear(width, width, bias=False)
        self.content_bias = nn.Parameter(torch.zeros(num_heads, 1, width // num_heads))
        self.position_bias = nn.Parameter(torch.zeros(num_heads, 1, width // num_heads))
        nn.init.xavier_uniform_(self.content_bias)
        nn.init.xavier_uniform_(self.position_bias)

    def start(self, batch: int, left_context: int) -> tuple[Tensor, Tensor]:
        """Keys and values before the first chunk: zeros, which the mask hides."""
        weight = self.key.weight
        return (
            self.attend.keys.empty(batch, left_context, weight),
            self.attend.values.empty(batch, left_context, weight),
        )

    def forward(
        self, x: Tensor, past: tuple[Tensor, Tensor], positions: Tensor, mask: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Attend from a chunk to itself and to what came before.

        Args:
            x: (B, C, D) float32, the chunk.
            past: keys and values of the left context, (B, H, L, D/H) float32.
            positions: (P, D) or (B, P, D) float32 sinusoids, P = L + 2C - 1 (shift) or L + C.
            mask: broadcastable to (B, H, C, L + C) float32, 0 or NOT_SEEN.

        Returns:
            (B, C, D) float32 and the newest L keys and values, (B, H, L, D/H) float32.
        """
        projected = self.position(positions)
        biases = self.content_bias, self.position_bias
        operands = self.query(x), self.key(x), self.value(x)
        attended, key, value = self.attend(*operands, past, projected, biases, mask)
        return self.out(attended), key, value


class MultiHead(nn.Module):
    """The projections of plain attention, whatever it attends to."""

    def __init__(self, width: int, num_heads: int, dropout: float):
        super().__init__()
        self.num_heads = num_heads
        self.query = nn.Linear(width, width)
        self.key = nn.Linear(width, width)
        self.value = nn.Linear(width, width)
        self.out = nn.Linear(width, width)
        self.dropout = Dropout(dropout)


class Attention(MultiHead):
    """Plain attention: softmax(q · kᵀ / sqrt(D/H)) · v."""

    def forward(self, x: Tensor, memory: Tensor, mask: Tensor) -> Tensor:
        """Attend from x to memory, which may be x.

        Args:
            x: (N, Q, D) float32.
            memory: (N or 1, K, D) float32.
            mask: broadcastable to (N, H, Q, K) float32, 0 or NOT_SEEN.

        Returns:
            (N, Q, D) float32.
        """
        return self.attend(x, self.key(memory), self.value(memory), mask)

    def attend(self, x: Tensor, key: Tensor, value: Tensor, mask: Tensor) -> Tensor:
        """The same, of keys and values that are there already, (N or 1, K, D) float32."""
        query, key, value = (split_heads(y, self.num_heads) for y in (self.query(x), key, value))
        scores = torch.matmul(query, key.transpose(-2, -1))
        return self.out(weighted_sum(scores, value, mask, self.dropout))
