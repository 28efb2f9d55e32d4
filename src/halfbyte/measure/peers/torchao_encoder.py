"""torchao: the encoder with int8 activations and int8 or int4 weights, eager."""

import copy
from functools import partial
from pathlib import Path

from torchao.quantization import quantize_

from halfbyte.families.u2.model import U2
from halfbyte.measure.encoder_models import Shape
from halfbyte.measure.encoder_runners import Opener, Step, eager_step
from halfbyte.measure.peers.torchao_layer import CONFIGS


def openers(_folder: Path, model: U2, shape: Shape) -> dict[str, Opener]:
    """One for each format."""
    return {f"torchao {name}": partial(_step, model, shape, name) for name in CONFIGS}


def _step(model: U2, shape: Shape, name: str) -> Step:
    quantized = copy.deepcopy(model)
    quantize_(quantized, CONFIGS[name])
    return eager_step(quantized, model.encoder.initial_state(1, shape.left_context_steps))
