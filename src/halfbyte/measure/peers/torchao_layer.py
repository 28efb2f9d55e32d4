"""torchao: int8 activations with int8 and int4 weights, eager."""

import torch
from torchao.quantization import (
    Int8DynamicActivationInt8WeightConfig,
    Int8DynamicActivationIntxWeightConfig,
    PerAxis,
    quantize_,
)

from halfbyte.measure.peers.layer import FloatArray, Peer
from halfbyte.measure.peers.torch_layer import linear, module_peer

CONFIGS = {
    "int8": Int8DynamicActivationInt8WeightConfig(),
    "int4": Int8DynamicActivationIntxWeightConfig(
        weight_dtype=getattr(torch, "int4"),  # noqa: B009, the stubs of torch lack it
        weight_granularity=PerAxis(0),
    ),
}


def layers(weight: FloatArray, bias: FloatArray) -> list[Peer]:
    """One layer, weight (K, N) and bias (N), in every format."""
    peers = []
    for name, config in CONFIGS.items():
        module = torch.nn.Sequential(linear(weight, bias))
        quantize_(module, config)
        peers.append(module_peer(f"torchao {name}", module))
    return peers
