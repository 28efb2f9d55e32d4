"""LiteRT with XNNPACK: the encoder converted by litert-torch, quantised by litert-quantizer."""

from functools import partial
from pathlib import Path
from typing import Any

import litert_torch
from ai_edge_litert.interpreter import Interpreter
from litert_quantizer import quantizer
from torch import nn

from halfbyte.measure.encoder_models import Shape, Subject
from halfbyte.measure.encoder_runners import Floats, Opener, Step, TorchStep, WholeSegment
from halfbyte.measure.peers.litert_layer import RECIPES


def openers(folder: Path, subject: Subject, shape: Shape) -> dict[str, Opener]:
    """One for each format."""
    floats = folder / "litert-float32.tflite"
    state = subject.initial_state(shape)
    if not floats.exists():
        litert_torch.convert(*_module(subject, shape)).export(str(floats))
    # It cannot read out tensors of no elements, so that a whole segment has no next state.
    kept = state if shape.left_context_steps else {}
    made: dict[str, Opener] = {"litert float32": partial(_step, floats, kept)}
    for name in RECIPES:
        made[f"litert {name}"] = partial(_quantized_step, floats, name, kept)
    return made


def _module(subject: Subject, shape: Shape) -> tuple[nn.Module, tuple[Any, ...]]:
    features = subject.features(shape)
    if not shape.left_context_steps:
        return WholeSegment(subject).eval(), (features,)
    return TorchStep(subject.spec).eval(), (features, *subject.states(shape).values())


def _quantized_step(floats: Path, name: str, state: dict[str, Any]) -> Step:
    path = floats.with_name(f"litert-{name.split()[0]}.tflite")
    if not path.exists():
        result = quantizer.Quantizer(floats, RECIPES[name]()).quantize()
        path.write_bytes(bytes(result.quantized_model or b""))
    return _step(path, state)


def _step(path: Path, state: dict[str, Any]) -> Step:
    run = Interpreter(model_path=str(path), num_threads=1).get_signature_runner()
    values = list(state.values())

    def step(features: Floats) -> Floats:
        inputs = {f"args_{place}": value for place, value in enumerate([features, *values])}
        results = run(**inputs)
        encoded, _, *following = (results[f"output_{place}"] for place in range(len(results)))
        values[:] = following
        return encoded

    return step
