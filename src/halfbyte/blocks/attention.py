"""Multi-head attention: with relative positions for the encoder, plain for the decoder."""

import math

import torch
from torch import Tensor, nn

from halfbyte.blocks.dropout import Dropout
from halfbyte.blocks.positions import shift_distances
from halfbyte.quant.layers import StoredParameters

NOT_SEEN = -1e9  # added to a score that must not count; its weight is then exactly 0


class _Attention(nn.Module):
    def __init__(self, width: int, num_heads: int, dropout: float):
        super().__init__()
        self.num_heads = num_heads
        self.head_width = width // num_heads
        self.query = nn.Linear(width, width)
        self.key = nn.Linear(width, width)
        self.value = nn.Linear(width, width)
        self.out = nn.Linear(width, width)
        self.dropout = Dropout(dropout)

    def split_heads(self, x: Tensor) -> Tensor:
        """(B, T, D) -> (B, H, T, D/H)."""
        return x.unflatten(-1, (self.num_heads, self.head_width)).transpose(1, 2)

    def attend(self, scores: Tensor, value: Tensor, bias: Tensor) -> Tensor:
        """Weighted sum of values; scores (B, H, Q, K), value (B, H, K, D/H) -> (B, Q, D)."""
        scores = scores.float() * (1.0 / math.sqrt(self.head_width)) + bias
        weights = self.dropout(torch.softmax(scores, dim=-1))
        return self.out(torch.matmul(weights, value).transpose(1, 2).flatten(2))


class RelativeAttention(_Attention, StoredParameters):
    """score_ij = ((q_i + u) · k_j + (q_i + v) · p) / sqrt(D/H), softmax over j.

    p is the projected sinusoid of the distance i - j (textbook), or of the position of key j
    (WeNet, which leaves out the shift).

    Source: Dai et al. 2019 (arXiv:1901.02860); WeNet's RelPositionMultiHeadedAttention.
    """

    def __init__(self, width: int, num_heads: int, dropout: float, shift: bool):
        super().__init__(width, num_heads, dropout)
        self.shift = shift
        self.position = nn.Linear(width, width, bias=False)
        self.content_bias = nn.Parameter(torch.zeros(num_heads, 1, self.head_width))
        self.position_bias = nn.Parameter(torch.zeros(num_heads, 1, self.head_width))
        nn.init.xavier_uniform_(self.content_bias)
        nn.init.xavier_uniform_(self.position_bias)

    def forward(
        self, x: Tensor, past_key: Tensor, past_value: Tensor, positions: Tensor, bias: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Attend from a chunk to itself and to what came before.

        Args:
            x: (B, C, D) float32, the chunk.
            past_key: (B, H, L, D/H) float32, keys of the left context.
            past_value: the same of its values.
            positions: (P, D) or (B, P, D) float32 sinusoids, P = L + 2C - 1 (shift) or L + C.
            bias: broadcastable to (B, H, C, L + C) float32, 0 or NOT_SEEN.

        Returns:
            (B, C, D) float32 and the keys and values of left context and chunk,
            (B, H, L + C, D/H) float32.
        """
        query = self.split_heads(self.query(x))
        key = torch.cat([past_key, self.split_heads(self.key(x))], dim=2)
        value = torch.cat([past_value, self.split_heads(self.value(x))], dim=2)
        by_content = torch.matmul(query + self.stored(self.content_bias), key.transpose(-2, -1))
        projected = self.position(positions)
        projected = self.split_heads(projected if projected.dim() == 3 else projected.unsqueeze(0))
        by_position = torch.matmul(
            query + self.stored(self.position_bias), projected.transpose(-2, -1)
        )
        if self.shift:
            by_position = shift_distances(by_position, key.shape[2])
        return self.attend(by_content + by_position, value, bias), key, value


class Attention(_Attention):
    """Plain attention: softmax(q · kᵀ / sqrt(D/H)) · v."""

    def forward(self, x: Tensor, memory: Tensor, bias: Tensor) -> Tensor:
        """Attend from x to memory, which may be x.

        Args:
            x: (N, Q, D) float32.
            memory: (N or 1, K, D) float32.
            bias: broadcastable to (N, H, Q, K) float32, 0 or NOT_SEEN.

        Returns:
            (N, Q, D) float32.
        """
        query = self.split_heads(self.query(x))
        key = self.split_heads(self.key(memory))
        value = self.split_heads(self.value(memory))
        return self.attend(torch.matmul(query, key.transpose(-2, -1)), value, bias)
