"""Torch: float32 and its dynamic int8."""

import torch
from torch import nn

from halfbyte.measure.peers.layer import Call, FloatArray, Peer


def layers(weight: FloatArray, bias: FloatArray) -> list[Peer]:
    """One layer, weight (K, N) and bias (N), in every format."""
    torch.set_num_threads(1)
    layer = linear(weight, bias)
    quantized = torch.ao.quantization.quantize_dynamic(nn.Sequential(layer))
    return [module_peer("torch float32", layer), module_peer("torch int8", quantized)]


def linear(weight: FloatArray, bias: FloatArray) -> nn.Linear:
    """The layer as a module."""
    layer = nn.Linear(*weight.shape)
    layer.weight.data, layer.bias.data = torch.from_numpy(weight.T.copy()), torch.from_numpy(bias)
    return layer.requires_grad_(False)


def module_peer(name: str, module: nn.Module) -> Peer:
    """A peer that calls a module."""
    nothing, one = nn.Identity(), torch.zeros(1, 8)

    def prepare(x: FloatArray) -> Call:
        tensor = torch.from_numpy(x)
        return lambda: _run(module, tensor)

    return Peer(name, prepare, lambda: lambda: _run(nothing, one))


def _run(module: nn.Module, x: torch.Tensor) -> torch.Tensor:
    with torch.inference_mode():
        y: torch.Tensor = module(x)
    return y
