"""The streaming Conformer encoder: one function for training, ONNX and the device."""

import torch
from torch import Tensor, nn

from halfbyte.blocks.attention import NOT_SEEN
from halfbyte.blocks.conformer import ConformerLayer, EncoderConfig, LayerState
from halfbyte.blocks.dropout import Dropout
from halfbyte.blocks.masks import FULL_CONTEXT, chunk_visibility
from halfbyte.blocks.norm import LayerNorm
from halfbyte.blocks.positions import distance_table, sinusoids
from halfbyte.blocks.subsampling import Subsampling
from halfbyte.quant.layers import StoredParameters

State = dict[str, Tensor]


class FeatureNorm(nn.Module, StoredParameters):
    """Global mean and variance normalisation: y = (x - mean) · inverse_deviation."""

    mean: Tensor
    inverse_deviation: Tensor

    def __init__(self, num_bins: int):
        super().__init__()
        self.register_buffer("mean", torch.zeros(num_bins))
        self.register_buffer("inverse_deviation", torch.ones(num_bins))

    def forward(self, features: Tensor) -> Tensor:
        """features: (B, T, F) float32 -> (B, T, F) float32."""
        return (features - self.stored(self.mean)) * self.stored(self.inverse_deviation)


class Encoder(nn.Module):
    """Features to encoder steps, chunk by chunk or a whole segment at once.

    `forward` runs a padded batch under a chunk mask (training); `step` runs one chunk with a
    state of fixed shape (ONNX, the device). Both run `_layers`, and give the same numbers.

    State, all float32: `state.{i}.key`, `state.{i}.value` (B, H, L, D/H) and `state.{i}.conv`
    (B, kernel - 1, D) for each layer i; `state.valid` (B, L), 1 where a slot of left context
    is filled; and `state.offset` (B, 1), steps so far, where positions are those of keys.
    """

    def __init__(self, config: EncoderConfig, num_bins: int):
        super().__init__()
        self.config = config
        self.feature_norm = FeatureNorm(num_bins)
        self.subsampling = Subsampling(
            num_bins, config.width, config.subsampling, config.subsampling_channels
        )
        self.dropout = Dropout(config.dropout)
        self.layers = nn.ModuleList(ConformerLayer(config) for _ in range(config.num_layers))
        self.norm = LayerNorm(config.width)
        self._start_as_identity()

    def _start_as_identity(self) -> None:
        """Start with residual branches that add nothing, and no constants anywhere.

        From torch's own initial values six layers had learned nothing after 800 steps
        (docs/log.md).
        """
        for name, module in self.named_modules():
            if isinstance(module, nn.Linear) and module.bias is not None:
                nn.init.zeros_(module.bias)
            if name.endswith((".contract", ".attention.out", ".pointwise_out")):
                nn.init.zeros_(module.weight)

    def forward(
        self, features: Tensor, num_frames: Tensor, chunk_steps: int = FULL_CONTEXT
    ) -> tuple[Tensor, Tensor]:
        """A padded batch under the mask of a chunk length.

        Args:
            features: (B, T, F) float32, zero-padded.
            num_frames: (B,) int64.
            chunk_steps: steps of a chunk, or FULL_CONTEXT.

        Returns:
            (B, steps, D) float32 and the number of steps of each utterance, (B,) int64.
        """
        x = self._embed(features)
        num_steps = self.subsampling.num_steps(num_frames)
        step = torch.arange(x.shape[1], device=x.device)
        visible = chunk_visibility(x.shape[1], chunk_steps, self.config.left_context).to(x.device)
        visible = visible & (step < num_steps[:, None])[:, None]
        state = self.initial_state(x.shape[0], left_context=0)
        y, _ = self._layers(x, state, torch.where(visible, 0.0, NOT_SEEN).unsqueeze(1))
        return y, num_steps

    def step(self, features: Tensor, state: State) -> tuple[Tensor, State]:
        """One chunk with its left context.

        Args:
            features: (B, R·C + overlap, F) float32; the last chunk of a segment may be shorter.
            state: as `initial_state` or an earlier step returned it.

        Returns:
            (B, C, D) float32 and the next state.
        """
        x = self._embed(features)
        valid = torch.cat([state["state.valid"], torch.ones_like(x[:, :, 0])], dim=1)
        return self._layers(x, state, ((valid - 1.0) * -NOT_SEEN)[:, None, None])

    def initial_state(self, batch: int, left_context: int | None = None) -> State:
        """The state before the first chunk.

        Args:
            batch: B.
            left_context: L in steps; the configured one if not given.
        """
        config = self.config
        left = config.left_context if left_context is None else left_context
        heads = (batch, config.num_heads, left, config.width // config.num_heads)
        new = self.norm.weight.new_zeros
        state = {"state.valid": new(batch, left)}
        if not config.relative_shift:
            state["state.offset"] = new(batch, 1)
        for i, layer in enumerate(self.layers):
            assert isinstance(layer, ConformerLayer)
            frame = layer.convolution.padding()
            state[f"state.{i}.key"] = new(heads)
            state[f"state.{i}.value"] = new(heads)
            state[f"state.{i}.conv"] = frame.expand(batch, config.kernel - 1, config.width)
        return state

    def _embed(self, features: Tensor) -> Tensor:
        x = self.subsampling(self.feature_norm(features)).float()
        return self.dropout(x * self.config.width**0.5)

    def _positions(self, x: Tensor, state: State) -> Tensor:
        left, chunk = state["state.valid"].shape[1], x.shape[1]
        if self.config.relative_shift:
            return distance_table(chunk, left + chunk, self.config.width).to(x.device)
        key = torch.arange(left + chunk, dtype=torch.float32, device=x.device) - left
        return sinusoids(state["state.offset"] + key, self.config.width)

    def _layers(self, x: Tensor, state: State, bias: Tensor) -> tuple[Tensor, State]:
        positions = self._positions(x, state)
        left, chunk = state["state.valid"].shape[1], x.shape[1]
        valid = torch.cat([state["state.valid"], torch.ones_like(x[:, :, 0])], dim=1)
        following = {"state.valid": valid[:, chunk:]}
        if "state.offset" in state:
            following["state.offset"] = state["state.offset"] + chunk
        for i, layer in enumerate(self.layers):
            names = [f"state.{i}.{part}" for part in ("key", "value", "conv")]
            past = LayerState(*(state[name] for name in names))
            y, grown = layer(x, past, positions, bias)
            x = self._drop_layer(x, y)
            kept = grown.keep(left)
            following.update(zip(names, (kept.key, kept.value, kept.frames), strict=True))
        return self.norm(x), following

    def _drop_layer(self, x: Tensor, y: Tensor) -> Tensor:
        if not self.training or self.config.layer_drop == 0:
            return y
        keep = torch.rand(x.shape[0], 1, 1, device=x.device) >= self.config.layer_drop
        return torch.where(keep, y, x)
