"""The streaming encoder of integer-only models: features to codes, then integers only."""

import math
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from halfbyte.blocks.encoder import Encoder, State
from halfbyte.blocks.integer_conformer import STREAM_BITS, IntegerConformerLayer, integer_linear
from halfbyte.blocks.masks import FULL_CONTEXT, chunk_visibility
from halfbyte.blocks.positions import sinusoids
from halfbyte.blocks.subsampling import Subsampling, patches
from halfbyte.errors import ConfigError
from halfbyte.ops.integer_layers import FeatureCodes, IntegerLayerNorm
from halfbyte.ops.integer_linear_layer import IntegerLinear
from halfbyte.quant.layers import NativeLinear
from halfbyte.quant.ranges import Range

if TYPE_CHECKING:
    from halfbyte.families.u2.model import U2

LONGEST_SEGMENT_FRAMES = 2048  # features of a segment: 20 s, and some room
_CODE = 1 / 127  # sinusoids lie in -1 .. 1


class Patches(nn.Module):
    """Patches of 3 x 3 in steps of 2, as in PatchConv2d."""

    def forward(self, x: Tensor) -> Tensor:
        """x: (B, T, F, C) -> (B, (T - 1) // 2, (F - 1) // 2, 9·C)."""
        return patches(x)


class Numbers(nn.Module):
    """Codes as numbers; values in training stand for numbers already."""

    def __init__(self, held: Range):
        super().__init__()
        self._held = [held]

    def forward(self, x: Tensor) -> Tensor:
        """x: any shape, float32 -> the same."""
        return x


class _Convolution(nn.Module):
    def __init__(self, linear: nn.Module, source: Range):
        super().__init__()
        assert isinstance(linear, NativeLinear)
        self.out_range = Range()
        self.patches = Patches()
        self.linear = IntegerLinear(linear, source, (self.out_range,), low=0)

    def forward(self, x: Tensor) -> Tensor:
        return self.linear(self.patches(x))


class IntegerSubsampling(nn.Module):
    """Strided convolutions with ReLU, then a projection into the residual stream."""

    def __init__(self, module: Subsampling, source: Range, stream: Range, factor: float):
        super().__init__()
        self.rate, self.overlap_frames = module.rate, module.overlap_frames
        self.num_steps = module.num_steps
        self.convolutions = nn.ModuleList()
        for convolution in module.convolutions:
            self.convolutions.append(_Convolution(convolution.linear, source))  # type: ignore[arg-type]
            source = self.convolutions[-1].out_range  # type: ignore[assignment]
        self.projection = integer_linear(module.projection, source, stream, factor=factor)

    def forward(self, features: Tensor) -> Tensor:
        """features: (B, T, F) float32 -> (B, steps, D) float32."""
        x = features.unsqueeze(-1)
        for convolution in self.convolutions:
            x = convolution(x)
        return self.projection(x.flatten(2))


class IntegerEncoder(nn.Module):
    """An encoder on integers, made of a native one; parameters keep their names.

    As `Encoder`, but states are int8: keys and values (B, L, D), frames (B, kernel - 1, D) and
    `state.valid` (B, L). Values between layers are float32 that stand for integers.
    """

    distance_table: Tensor

    def __init__(self, encoder: Encoder):
        super().__init__()
        config = self.config = encoder.config
        norm = encoder.feature_norm
        self.feature_norm = FeatureCodes(norm.mean, norm.inverse_deviation)
        self.distance_range = Range(amax=1.0)
        layers = [IntegerConformerLayer(layer, self.distance_range) for layer in encoder.layers]  # type: ignore[arg-type]
        self.last_range, self.out_range = Range(STREAM_BITS), Range()
        for layer, following in zip(layers, [*layers[1:], None], strict=True):
            layer.end_in(following.stream_range if following else self.last_range)
        self.layers = nn.ModuleList(layers)
        self.subsampling = IntegerSubsampling(
            encoder.subsampling,
            self.feature_norm.out_range,
            layers[0].stream_range,
            math.sqrt(config.width),
        )
        self.norm = IntegerLayerNorm(encoder.norm, self.last_range, self.out_range)
        self.numbers = Numbers(self.out_range)
        self.longest = config.left_context + LONGEST_SEGMENT_FRAMES // config.subsampling
        distance = torch.arange(1 - self.longest, self.longest, dtype=torch.float64)
        codes = torch.round(sinusoids(distance.float(), config.width) / _CODE)
        self.register_buffer("distance_table", codes * _CODE, persistent=False)

    def forward(
        self, features: Tensor, num_frames: Tensor, chunk_steps: int = FULL_CONTEXT
    ) -> tuple[Tensor, Tensor]:
        """As Encoder.forward; the first batch in training sets the ranges."""
        if self.training:
            self._prepare(features, num_frames, chunk_steps)
        return self._padded_batch(features, num_frames, chunk_steps)

    def _prepare(self, features: Tensor, num_frames: Tensor, chunk_steps: int) -> None:
        ranges = [module for module in self.modules() if isinstance(module, Range)]
        if not self.out_range.is_started:
            with torch.no_grad():
                self._padded_batch(features, num_frames, chunk_steps)
            for each in ranges:
                each.start()
        for each in ranges:
            each.move()

    def observe(self, features: Tensor) -> Tensor:
        """Encode one whole utterance, (1, T, F), while ranges that are not started take note."""
        num_frames = torch.tensor([features.shape[1]], device=features.device)
        return self._padded_batch(features, num_frames, FULL_CONTEXT)[0]

    def _padded_batch(
        self, features: Tensor, num_frames: Tensor, chunk_steps: int
    ) -> tuple[Tensor, Tensor]:
        x = self.subsampling(self.feature_norm(features))
        num_steps = self.subsampling.num_steps(num_frames)
        step = torch.arange(x.shape[1], device=x.device)
        visible = chunk_visibility(x.shape[1], chunk_steps, self.config.left_context).to(x.device)
        visible = visible & (step < num_steps[:, None])[:, None]
        distances = self._distances(x.shape[1], x.shape[1])
        for layer in self.layers:
            frame = layer.convolution.padding()  # type: ignore[operator, union-attr]
            frames = frame.expand(x.shape[0], self.config.kernel - 1, self.config.width)
            x, _ = layer(x, [x[:, :0], x[:, :0], frames], distances, visible)
        return self.norm(x), num_steps

    def step(self, features: Tensor, state: State) -> tuple[Tensor, State]:
        """As Encoder.step."""
        x = self.subsampling(self.feature_norm(features))
        left, chunk = state["state.valid"].shape[1], x.shape[1]
        now = torch.ones_like(x[:, :, 0], dtype=torch.int8)
        valid = torch.cat([state["state.valid"], now], dim=1)
        following = {"state.valid": valid[:, chunk:]}
        distances = self._distances(chunk, left + chunk)
        for i, layer in enumerate(self.layers):
            assert isinstance(layer, IntegerConformerLayer)
            names = [f"state.{i}.{part}" for part in ("key", "value", "conv")]
            held = [
                layer.attention.key_codes,
                layer.attention.value_codes,
                layer.convolution.frame_codes,
            ]
            past = [codes(state[name]) for codes, name in zip(held, names, strict=True)]
            x, grown = layer(x, past, distances, valid)
            kept = [grown[0][:, chunk:], grown[1][:, chunk:], grown[2]]
            new = [codes(value) for codes, value in zip(held, kept, strict=True)]
            following.update(zip(names, new, strict=True))
        return self.norm(x), following

    def initial_state(self, batch: int, left_context: int | None = None) -> State:
        """As Encoder.initial_state."""
        config = self.config
        left = config.left_context if left_context is None else left_context
        new = torch.zeros
        device = self.distance_table.device
        state = {"state.valid": new(batch, left, dtype=torch.int8, device=device)}
        for i, layer in enumerate(self.layers):
            assert isinstance(layer, IntegerConformerLayer)
            for part in ("key", "value"):
                shape = (batch, left, config.width)
                state[f"state.{i}.{part}"] = new(shape, dtype=torch.int8, device=device)
            frame = layer.convolution.frame_codes(layer.convolution.padding())
            state[f"state.{i}.conv"] = frame.expand(batch, config.kernel - 1, config.width)
        return state

    def _distances(self, chunk: int, num_keys: int) -> Tensor:
        """(K + C - 1, D): the rows from distance K - 1 down to 1 - C."""
        back = torch.arange(num_keys + chunk - 1, device=self.distance_table.device)
        return self.distance_table.index_select(0, self.longest - 1 + num_keys - 1 - back)


def make_integer(model: "U2") -> "U2":
    """Make the encoder and the CTC head of a native model integer-only; in place.

    The attention decoder stays as it is: rescoring is not integer-only.

    Raises:
        ConfigError: the model has options that this mode does not serve.
    """
    config = model.encoder.config
    if not config.relative_shift:
        raise ConfigError("integer-only models need model.encoder.relative_shift=true")
    if config.layer_drop:
        raise ConfigError("integer-only models need model.encoder.layer_drop=0")
    for name, layer in model.named_modules():
        is_part = name.startswith("encoder.") or name == "ctc"
        if is_part and isinstance(layer, nn.Linear) and not _is_served(layer):
            raise ConfigError(
                f"layer {name} is no w1a8 to w8a8 with a scale per output; integer-only models "
                "need that of all layers of encoder and ctc"
            )
    encoder = IntegerEncoder(model.encoder)
    model.encoder = encoder  # type: ignore[assignment]
    head = model.ctc
    assert isinstance(head, NativeLinear)
    logits = Range(STREAM_BITS)
    model.ctc = IntegerLinear(head, encoder.out_range, (logits,), gives_numbers=True)
    model.ctc.logits_range = logits
    return model


def observe(model: nn.Module, features: Tensor) -> None:
    """Let ranges that are not started take note while the model hears (1, T, F) float32."""
    encoder, head = model.get_submodule("encoder"), model.get_submodule("ctc")
    assert isinstance(encoder, IntegerEncoder)
    assert isinstance(head, IntegerLinear)
    head.observe_output(encoder.observe(features))


def _is_served(layer: nn.Linear) -> bool:
    return isinstance(layer, NativeLinear) and layer.number.activation_bits == 8
