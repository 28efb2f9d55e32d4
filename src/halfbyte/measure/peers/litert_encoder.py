"""LiteRT with XNNPACK: the encoder converted by litert-torch, quantised by litert-quantizer."""

from pathlib import Path
from typing import Any

import litert_torch
import torch
from ai_edge_litert.interpreter import Interpreter
from litert_quantizer import quantizer

from halfbyte.measure.encoder_models import NUM_BINS, Shape, initial_state
from halfbyte.measure.encoder_runners import Floats, Step, TorchStep
from halfbyte.measure.peers.litert_layer import RECIPES
from halfbyte.models.u2 import U2


def steps(folder: Path, model: U2, shape: Shape) -> dict[str, Step]:
    """One step for each format."""
    state = initial_state(model, shape)
    floats = folder / "litert-float32.tflite"
    if not floats.exists():
        values = [torch.from_numpy(value) for value in state.values()]
        features = torch.zeros(1, shape.num_frames(model), NUM_BINS)
        module = TorchStep(model, list(state)).eval()
        litert_torch.convert(module, (features, *values)).export(str(floats))
    made = {"litert float32": _step(floats, state)}
    for name, make_recipe in RECIPES.items():
        path = folder / f"litert-{name.split()[0]}.tflite"
        if not path.exists():
            result = quantizer.Quantizer(floats, make_recipe()).quantize()
            path.write_bytes(bytes(result.quantized_model or b""))
        made[f"litert {name}"] = _step(path, state)
    return made


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
