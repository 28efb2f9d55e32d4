"""LiteRT with XNNPACK: the encoder converted by litert-torch, quantised by litert-quantizer."""

from functools import partial
from pathlib import Path
from typing import Any

import litert_torch
import torch
from ai_edge_litert.interpreter import Interpreter
from litert_quantizer import quantizer
from torch import nn

from halfbyte.families.u2.model import U2
from halfbyte.measure.encoder_models import NUM_BINS, Shape, initial_state
from halfbyte.measure.encoder_runners import Floats, Opener, Step, TorchStep, WholeSegment
from halfbyte.measure.peers.litert_layer import RECIPES


def openers(folder: Path, model: U2, shape: Shape) -> dict[str, Opener]:
    """One for each format."""
    floats = folder / "litert-float32.tflite"
    state = initial_state(model, shape)
    if not floats.exists():
        litert_torch.convert(*_module(model, shape, state)).export(str(floats))
    # It cannot read out tensors of no elements, so that a whole segment has no next state.
    kept = state if shape.left_context_steps else {}
    made: dict[str, Opener] = {"litert float32": partial(_step, floats, kept)}
    for name in RECIPES:
        made[f"litert {name}"] = partial(_quantized_step, floats, name, kept)
    return made


def _module(model: U2, shape: Shape, state: dict[str, Any]) -> tuple[nn.Module, tuple[Any, ...]]:
    features = torch.zeros(1, shape.num_frames(model), NUM_BINS)
    if not shape.left_context_steps:
        return WholeSegment(model).eval(), (features,)
    values = [torch.from_numpy(value) for value in state.values()]
    return TorchStep(model, list(state)).eval(), (features, *values)


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
