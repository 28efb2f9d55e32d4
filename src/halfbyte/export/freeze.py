"""A copy of a model whose parameters are what its file stores."""

import copy
from typing import TypeVar

import torch
from torch import Tensor, nn

from halfbyte.quant.absmax import quantize_weight
from halfbyte.quant.layers import NativeEmbedding, NativeLinear, StoredParameters

Model = TypeVar("Model", bound=nn.Module)


class FrozenLinear(nn.Module):
    """A native linear layer as one node over constants: codes, scales, bias."""

    codes: Tensor
    scales: Tensor
    bias: Tensor

    def __init__(self, layer: NativeLinear):
        super().__init__()
        codes, scales = quantize_weight(layer.weight.detach(), layer.number.weight_bits)
        bias = torch.zeros(layer.out_features) if layer.bias is None else layer.bias.detach()
        self.operator = f"halfbyte::Linear{layer.number.name.upper()}"
        self.register_buffer("codes", codes)
        self.register_buffer("scales", scales.half())
        self.register_buffer("bias", bias.half())

    def forward(self, x: Tensor) -> Tensor:
        """x: (..., K) float32 -> (..., N) float32."""
        return torch.onnx.ops.symbolic(
            self.operator,
            (x, self.codes, self.scales, self.bias),
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
        codes, scales = quantize_weight(layer.weight.detach(), layer.number.weight_bits)
        self.operator = f"halfbyte::EmbeddingW{layer.number.weight_bits}"
        self.register_buffer("codes", codes)
        self.register_buffer("scales", scales.half())

    def forward(self, ids: Tensor) -> Tensor:
        """ids: (...) int64 -> (..., D) float32."""
        return torch.onnx.ops.symbolic(
            self.operator,
            (ids, self.codes, self.scales),
            dtype=torch.float32,
            shape=(*ids.shape, self.codes.shape[1]),
            version=1,
        )


def freeze(model: Model) -> Model:
    """Copy a model for export: integer codes in place of weights, fp16 where it is stored.

    The copy can only be traced into ONNX; the original is unchanged.
    """
    frozen = copy.deepcopy(model).eval().requires_grad_(False)
    for name, layer in list(frozen.named_modules()):
        if isinstance(layer, NativeLinear):
            frozen.set_submodule(name, FrozenLinear(layer))
        elif isinstance(layer, NativeEmbedding):
            frozen.set_submodule(name, FrozenEmbedding(layer))
    for module in frozen.modules():
        if isinstance(module, StoredParameters) and module.stores_half:
            _halve_own_parameters(module)
    return frozen


def _halve_own_parameters(module: nn.Module) -> None:
    """Own small parameters to fp16; `stored` widens them again, as one Cast in the graph."""
    for parameter in module.parameters(recurse=False):
        parameter.data = parameter.data.half()
    for name, buffer in list(module.named_buffers(recurse=False)):
        setattr(module, name, buffer.half())
