"""A copy of a model whose parameters are what its file stores."""

import copy
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from halfbyte.errors import UsageError
from halfbyte.ops.operator import Freezable, FrozenOperator
from halfbyte.quant.absmax import AbsMaxRows
from halfbyte.quant.layers import NativeEmbedding, NativeLinear, StoredParameters

Model = TypeVar("Model", bound=nn.Module)


class FrozenLinear(nn.Module):
    """A native linear layer as one node over constants: codes, scales, bias."""

    codes: Tensor
    scales: Tensor
    bias: Tensor

    def __init__(self, layer: NativeLinear):
        super().__init__()
        quantized = layer.quantized_weight()
        bias = layer.folded_bias()
        bias = torch.zeros(layer.out_features) if bias is None else bias.detach()
        self.operator = f"halfbyte::{layer.number.linear_operator}"
        self.attributes = layer.number.linear_attributes
        # Weight-only scales are a matrix, one for each group of inputs; others one per output.
        scales = quantized.scales if layer.number.is_weight_only else quantized.scales[:, 0]
        self.register_buffer("codes", quantized.codes)
        self.register_buffer("scales", scales.half())
        self.register_buffer("bias", bias.half())

    def forward(self, x: Tensor) -> Tensor:
        """x: (..., K) float32 -> (..., N) float32."""
        return torch.onnx.ops.symbolic(
            self.operator,
            (x, self.codes, self.scales, self.bias),
            self.attributes,
            dtype=torch.float32,
            shape=(*x.shape[:-1], self.codes.shape[0]),
            version=1,
        )


class FrozenEmbedding(nn.Module):
    """A native embedding as one node over constants: codes, scales."""

    codes: Tensor
    scales: Tensor

    def __init__(self, layer: NativeEmbedding):
        super().__init__()
        quantized = layer.quantized_weight()
        self.attributes: dict[str, Any] = {"weight_bits": layer.number.weight_bits}
        self.register_buffer("codes", quantized.codes)
        self.register_buffer("scales", quantized.scales[:, 0].half())

    def forward(self, ids: Tensor) -> Tensor:
        """ids: (...) int64 -> (..., D) float32."""
        return torch.onnx.ops.symbolic(
            "halfbyte::Embedding",
            (ids, self.codes, self.scales),
            self.attributes,
            dtype=torch.float32,
            shape=(*ids.shape, self.codes.shape[1]),
            version=1,
        )


def freeze(model: Model) -> Model:
    """Copy a model for export: integer codes in place of weights, fp16 where it is stored.

    The copy can only be traced into ONNX; the original is unchanged.

    Raises:
        UsageError: a layer's activations have a static scale, which no operator serves yet.
    """
    frozen = copy.deepcopy(model).eval().requires_grad_(False)
    for name, layer in list(frozen.named_modules()):
        if isinstance(layer, Freezable):
            frozen.set_submodule(name, layer.freeze())
        elif isinstance(layer, NativeLinear):
            _check_activations(name, layer)
            frozen.set_submodule(name, FrozenLinear(layer))
        elif isinstance(layer, NativeEmbedding):
            frozen.set_submodule(name, FrozenEmbedding(layer))
    for module in frozen.modules():
        if isinstance(module, StoredParameters) and module.stores_half:
            _halve_own_parameters(module)
    return frozen


def frozen_operators(frozen: nn.Module) -> dict[str, FrozenOperator]:
    """The nodes of a frozen model that hold constants, by name; products of packed codes aside."""
    found = {n: m for n, m in frozen.named_modules() if isinstance(m, FrozenOperator)}
    return {n: m for n, m in found.items() if m.constants and not m.operator.has_packed_codes}


def _check_activations(name: str, layer: NativeLinear) -> None:
    quantizer = layer.activation_quantizer
    if quantizer is not None and not isinstance(quantizer, AbsMaxRows):
        raise UsageError(
            f"layer {name} has a static scale for its activations ({type(quantizer).__name__}); "
            "the engine has no operator for it: train with quantization.activations=absmax"
        )


def _halve_own_parameters(module: nn.Module) -> None:
    """Own small parameters to fp16; `stored` widens them again, as one Cast in the graph."""
    for parameter in module.parameters(recurse=False):
        parameter.data = parameter.data.half()
    for name, buffer in list(module.named_buffers(recurse=False)):
        setattr(module, name, buffer.half())
