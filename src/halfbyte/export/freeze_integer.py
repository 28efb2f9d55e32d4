"""Layers of integer-only models as nodes over integer constants."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from halfbyte.blocks.integer_conformer import StateCodes
from halfbyte.blocks.integer_encoder import IntegerEncoder, Numbers, Patches
from halfbyte.ops import integer_reference as reference
from halfbyte.ops.integer_attention import IntegerAttend
from halfbyte.ops.integer_layers import (
    FeatureCodes,
    IntegerDepthwise,
    IntegerLayerNorm,
)
from halfbyte.ops.integer_linear_layer import IntegerLinear
from halfbyte.ops.operator import Attributes, Freezable, FrozenOperator
from halfbyte.quant.ranges import Range

Shape = tuple[int, ...]


class _Operator(nn.Module):
    """One node: inputs are the first operand, constants, and the other operands."""

    def __init__(
        self,
        name: str,
        dtype: torch.dtype,
        constants: dict[str, Tensor] | None = None,
        attributes: Attributes | None = None,
        shape: Callable[[Shape], Shape] | None = None,
    ):
        super().__init__()
        self.name, self.dtype = f"halfbyte::{name}", dtype
        self.attributes, self.shape = attributes or {}, shape or tuple
        self.constants = list(constants or {})
        for key, value in (constants or {}).items():
            self.register_buffer(key, value)

    def forward(self, x: Tensor, *others: Tensor) -> Tensor:
        inputs = (x, *(getattr(self, name) for name in self.constants), *others)
        shape = self.shape(tuple(x.shape))
        return torch.onnx.ops.symbolic(
            self.name, inputs, self.attributes, dtype=self.dtype, shape=shape, version=1
        )


def _requantize(out: Range, shift: int, low: int) -> tuple[str, torch.dtype, Attributes]:
    """Name, type and attributes of the node that takes sums into a range."""
    if out.largest == 127:
        return "Requantize", torch.int8, {"divisor": 1 << shift, "low": low}
    return "RequantizeWide", torch.int16, {"divisor": 1 << shift}


def _numbers(held: Range) -> _Operator:
    scale = torch.tensor(held.scale, dtype=torch.float32)
    return _Operator("Dequantize", torch.float32, {"scale": scale})


class _FrozenLinear(nn.Module):
    """Sums, then codes, then numbers where the layer gives them."""

    codes: Tensor
    bias: Tensor
    multipliers: Tensor

    def __init__(self, layer: IntegerLinear):
        super().__init__()
        quantized = layer.quantized_weight()
        multipliers, shift = layer.multipliers(quantized)
        self.attributes: Attributes = {"weight_bits": layer.number.weight_bits}
        self.register_buffer("codes", quantized.codes)
        self.register_buffer("bias", layer.whole_bias(quantized))
        self.register_buffer("multipliers", multipliers.to(torch.int32))
        name, dtype, attributes = _requantize(layer.out, shift, layer.limits[0])
        self.rescale = _Operator(name, dtype, attributes=attributes)
        self.rescale_add = _Operator("RequantizeAdd", dtype, attributes=attributes)
        self.numbers = _numbers(layer.out) if layer.gives_numbers else nn.Identity()

    def forward(self, x: Tensor, residual: Tensor | None = None) -> Tensor:
        acc = torch.onnx.ops.symbolic(
            "halfbyte::IntLinear",
            (x, self.codes, self.bias),
            self.attributes,
            dtype=torch.int32,
            shape=(*x.shape[:-1], self.codes.shape[0]),
            version=1,
        )
        if residual is None:
            return self.numbers(self.rescale(acc, self.multipliers))
        return self.rescale_add(acc, self.multipliers, residual)


def _frozen_features(layer: FeatureCodes) -> nn.Module:
    constants = {"mean": layer.mean, "factor": layer.factor()}
    return _Operator("QuantizeFeatures", torch.int8, constants)


def _frozen_norm(layer: IntegerLayerNorm) -> nn.Module:
    weight, bias, epsilon, shift = layer.constants()
    constants = {"weight": weight.to(torch.int32), "bias": bias}
    attributes = {"epsilon": epsilon, "divisor": 1 << shift}
    if layer.out.largest == 127:
        return _Operator("IntLayerNorm", torch.int8, constants, attributes)
    return _Operator("IntLayerNormWide", torch.int16, constants, attributes)


class _FrozenDepthwise(nn.Module):
    def __init__(self, layer: IntegerDepthwise):
        super().__init__()
        weight, bias, multipliers, shift = layer.constants()
        taps = weight.shape[0]
        constants = {"weight": weight.to(torch.int8), "bias": bias.to(torch.int32)}
        self.sums = _Operator(
            "IntDepthwise",
            torch.int32,
            constants,
            shape=lambda shape: (shape[0], shape[1] - taps + 1, shape[2]),
        )
        name, dtype, attributes = _requantize(layer.out, shift, 0)
        values = {"multipliers": multipliers.to(torch.int32)}
        self.rescale = _Operator(name, dtype, values, attributes)

    def forward(self, x: Tensor) -> Tensor:
        return self.rescale(self.sums(x))


def _frozen_attend(layer: IntegerAttend) -> nn.Module:
    content, position, score_shift = layer.score_multipliers()
    multiplier, shift = layer.mean_multiplier()
    biases = layer.bias_codes()
    constants = {
        "content": biases[0].to(torch.int8),
        "position": biases[1].to(torch.int8),
        "exponentials": torch.from_numpy(reference.exponentials()),
    }
    attributes = {
        "heads": layer.heads,
        "content_multiplier": content,
        "position_multiplier": position,
        "score_divisor": 1 << score_shift,
        "multiplier": multiplier,
        "divisor": 1 << shift,
    }
    return _Operator("IntAttention", torch.int8, constants, attributes)


def _frozen_patches(_: Patches) -> nn.Module:
    return _Operator(
        "IntPatches",
        torch.int8,
        shape=lambda s: (s[0], (s[1] - 1) // 2, (s[2] - 1) // 2, 9 * s[3]),
    )


_TWINS: dict[type, Callable[..., nn.Module]] = {
    IntegerLinear: _FrozenLinear,
    FeatureCodes: _frozen_features,
    IntegerLayerNorm: _frozen_norm,
    IntegerDepthwise: _FrozenDepthwise,
    IntegerAttend: _frozen_attend,
    Patches: _frozen_patches,
    Numbers: lambda layer: _numbers(layer._held[0]),
    StateCodes: lambda _: nn.Identity(),
}


def freeze_integer(frozen: nn.Module) -> None:
    """Replace the layers of integer-only models by their nodes; in place."""
    for name, layer in list(frozen.named_modules()):
        if isinstance(layer, Freezable):
            frozen.set_submodule(name, layer.freeze())
        elif type(layer) in _TWINS:
            frozen.set_submodule(name, _TWINS[type(layer)](layer))
        if isinstance(layer, IntegerEncoder):
            layer.distance_table = torch.round(layer.distance_table * 127).to(torch.int8)


def frozen_operators(model: nn.Module) -> list[tuple[str, list[Tensor], Attributes]]:
    """What a file holds of a model's integer-only layers, products aside.

    Returns:
        Layer, constants in the order of the operator's inputs, attributes; of each operator that
        has any constants.
    """
    found = []
    for name, layer in model.named_modules():
        if isinstance(layer, Freezable):
            twin = layer.freeze()
        elif type(layer) in _TWINS and not isinstance(layer, IntegerLinear):
            twin = _TWINS[type(layer)](layer)
        else:
            continue
        for part in twin.modules():
            if isinstance(part, _Operator | FrozenOperator) and part.constants:
                tensors = [getattr(part, constant) for constant in part.constants]
                found.append((name, tensors, part.attributes))
    return found
