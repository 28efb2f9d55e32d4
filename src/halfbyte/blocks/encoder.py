"""The streaming Conformer encoder: one function for training, ONNX and the device."""

import torch
from torch import Tensor, nn

from halfbyte.blocks.attention import Mask
from halfbyte.blocks.conformer import ConformerLayer, EncoderConfig, LayerMemory
from halfbyte.blocks.leaves import LayerDrop, Stream
from halfbyte.blocks.masks import FULL_CONTEXT, chunk_visibility
from halfbyte.blocks.norm import LayerNorm
from halfbyte.blocks.positions import Distances, sinusoids
from halfbyte.blocks.subsampling import Subsampling
from halfbyte.ops.quantize_features import FeatureCodes
from halfbyte.quant.stored import StoredParameters

LONGEST_SEGMENT_FRAMES = 2048  # features of a segment: 20 s, and some room
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

    def integer(self) -> nn.Module:
        """Codes of the normalised features."""
        return FeatureCodes(self.mean, self.inverse_deviation)


class Encoder(nn.Module):
    """Features to encoder steps, chunk by chunk or a whole segment at once.

    `forward` runs a padded batch under a chunk mask (training); `step` runs one chunk with a
    state of fixed shape (ONNX, the device). Both run `_layers`, and give the same numbers.

    State, all float32: `state.{i}.key`, `state.{i}.value` (B, H, L, D/H) and `state.{i}.conv`
    (B, kernel - 1, D) for each layer i; `state.valid` (B, L), 1 where a slot of left context
    is filled; and `state.offset` (B, 1), steps so far, where positions are those of keys. States
    of integer-only models are int8, keys and values (B, L, D).
    """

    def __init__(self, config: EncoderConfig, num_bins: int):
        super().__init__()
        self.config = config
        self.output_width = config.width
        self.feature_norm = FeatureNorm(num_bins)
        self.subsampling = Subsampling(
            num_bins, config.width, config.subsampling, config.subsampling_channels
        )
        self.stream = Stream(config.width**0.5, config.dropout)
        self.layers = nn.ModuleList(ConformerLayer(config) for _ in range(config.num_layers))
        self.layer_drop = LayerDrop(config.layer_drop)
        self.norm = LayerNorm(config.width)
        self.mask = Mask()
        longest = config.left_context + LONGEST_SEGMENT_FRAMES // config.subsampling
        self.distances = Distances(config.width, longest)
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
        batch, length = x.shape[:2]
        num_steps = self.subsampling.num_steps(num_frames)
        step = torch.arange(length, device=features.device)
        visible = chunk_visibility(length, chunk_steps, self.config.left_context)
        visible = visible.to(features.device) & (step < num_steps[:, None])[:, None]
        past = [layer.start(batch, 0) for layer in self._conformer_layers()]
        positions = self._positions(length, 0, features.new_zeros(batch, 1))
        y, _ = self._layers(x, past, positions, self.mask(visible))
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
        before, chunk = state["state.valid"], x.shape[1]
        left = before.shape[1]
        now = torch.ones((x.shape[0], chunk), dtype=before.dtype, device=before.device)
        valid = torch.cat([before, now], dim=1)
        following = {"state.valid": valid[:, chunk:]}
        if "state.offset" in state:
            following["state.offset"] = state["state.offset"] + chunk
        layers = self._conformer_layers()
        past = [
            layer.restored(LayerMemory(*(state[name] for name in _names(i))))
            for i, layer in enumerate(layers)
        ]
        positions = self._positions(chunk, left, state.get("state.offset"))
        y, kept = self._layers(x, past, positions, self.mask(valid))
        for i, (layer, memory) in enumerate(zip(layers, kept, strict=True)):
            following.update(zip(_names(i), layer.stored(memory), strict=True))
        return y, following

    def initial_state(self, batch: int, left_context: int | None = None) -> State:
        """The state before the first chunk.

        Args:
            batch: B.
            left_context: L in steps; the configured one if not given.
        """
        left = self.config.left_context if left_context is None else left_context
        like = self.norm.weight
        state = {"state.valid": self.mask.start(batch, left, like)}
        if not self.config.relative_shift:
            state["state.offset"] = like.new_zeros(batch, 1)
        for i, layer in enumerate(self._conformer_layers()):
            state.update(zip(_names(i), layer.stored(layer.start(batch, left)), strict=True))
        return state

    def _conformer_layers(self) -> list[ConformerLayer]:
        return list(self.layers)  # type: ignore[arg-type]

    def _embed(self, features: Tensor) -> Tensor:
        return self.stream(self.subsampling(self.feature_norm(features)))

    def _positions(self, chunk: int, left: int, offset: Tensor | None) -> Tensor:
        """What RelativeAttention projects; an offset (B, 1) counts for positions of keys only."""
        device = self.norm.weight.device
        if self.config.relative_shift or offset is None:
            return self.distances(chunk, left + chunk, device)
        key = torch.arange(left + chunk, dtype=torch.float32, device=device) - left
        return sinusoids(offset + key, self.config.width)

    def _layers(
        self, x: Tensor, past: list[LayerMemory], positions: Tensor, mask: Tensor
    ) -> tuple[Tensor, list[LayerMemory]]:
        kept = []
        for layer, memory in zip(self.layers, past, strict=True):
            y, newest = layer(x, memory, positions, mask)
            x = self.layer_drop(x, y)
            kept.append(newest)
        return self.norm(x), kept


def _names(layer: int) -> list[str]:
    return [f"state.{layer}.{part}" for part in ("key", "value", "conv")]
