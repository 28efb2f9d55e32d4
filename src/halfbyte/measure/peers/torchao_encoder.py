"""torchao: the encoder with int8 activations and int8 or int4 weights, eager."""

import copy
from functools import partial
from pathlib import Path

from torchao.quantization import quantize_

from halfbyte.measure.encoder_models import Shape, Subject
from halfbyte.measure.encoder_runners import Opener, Step, TorchStep, flat_step
from halfbyte.measure.peers.torchao_layer import CONFIGS


def openers(_folder: Path, subject: Subject, shape: Shape) -> dict[str, Opener]:
    """One for each format."""
    return {f"torchao {name}": partial(_step, subject, shape, name) for name in CONFIGS}


def _step(subject: Subject, shape: Shape, name: str) -> Step:
    quantized = copy.deepcopy(TorchStep(subject.spec))
    quantize_(quantized, CONFIGS[name])
    return flat_step(quantized, len(subject.spec.outputs), list(subject.states(shape).values()))
