"""torchao: the encoder with int8 activations and int8 or int4 weights, eager."""

import copy
from pathlib import Path

from torchao.quantization import quantize_

from halfbyte.measure.encoder_models import Shape
from halfbyte.measure.encoder_runners import Step, eager_step
from halfbyte.measure.peers.torchao_layer import CONFIGS
from halfbyte.models.u2 import U2


def steps(_folder: Path, model: U2, shape: Shape) -> dict[str, Step]:
    """One step for each format."""
    made = {}
    state = model.encoder.initial_state(1, shape.left_context_steps)
    for name, config in CONFIGS.items():
        quantized = copy.deepcopy(model)
        quantize_(quantized, config)
        made[f"torchao {name}"] = eager_step(quantized, state)
    return made
