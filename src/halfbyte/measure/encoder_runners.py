"""The engine and its peers running one encoder, each as a call that takes a chunk of a stream."""

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from halfbyte.engine import ModelFile, Session, State
from halfbyte.families.u2.model import U2
from halfbyte.measure.encoder_models import Shape, initial_state

Floats = NDArray[np.float32]
Step = Callable[[Floats], Floats]  # features (1, T, F) -> encoder output (1, C, D)
Opener = Callable[[], Step]


def engine_step(path: Path, shape: Shape, isa: str | None, threads: int) -> Step:
    """Our engine."""
    model = ModelFile(path)
    session = Session(model, "encoder", isa=isa, threads=threads)
    state = State(model, "encoder", shape.left_context_steps)

    def step(features: Floats) -> Floats:
        encoded = session.run({"features": features}, state)["encoder_out"]
        return np.frombuffer(encoded.data, np.float32).reshape(encoded.shape)

    return step


def onnx_runtime_step(path: Path, model: U2, shape: Shape) -> Step:
    """ONNX Runtime on one thread."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    inputs: dict[str, Any] = dict(initial_state(model, shape))

    def step(features: Floats) -> Floats:
        results = dict(zip(names, session.run(names, inputs | {"features": features}), strict=True))
        for name in inputs:
            inputs[name] = results["next." + name.removeprefix("state.")]
        return results["encoder_out"]

    return step


def torch_step(model: U2, shape: Shape, is_int8: bool) -> Step:
    """Torch, traced and frozen for this shape; int8 is torch's dynamic quantisation."""
    state = initial_state(model, shape)
    module: nn.Module = TorchStep(model, list(state))
    if is_int8:
        module = torch.ao.quantization.quantize_dynamic(module, {nn.Linear}, torch.qint8)
    values = [torch.from_numpy(value) for value in state.values()]
    features = torch.zeros(1, shape.num_frames(model), 80)
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # TorchScript is deprecated, and traced sizes are fixed
        traced = torch.jit.freeze(torch.jit.trace(module.eval(), (features, *values), strict=False))

    def step(features: Floats) -> Floats:
        with torch.inference_mode():
            encoded, _, *following = traced(torch.from_numpy(features), *values)
        values[:] = following
        return encoded.numpy()

    return step


def eager_step(model: U2, initial: dict[str, torch.Tensor]) -> Step:
    """Torch without tracing, for modules that cannot be traced."""
    state = dict(initial)

    def step(features: Floats) -> Floats:
        with torch.inference_mode():
            encoded, _, following = model.step(torch.from_numpy(features), state)
        state.update(following)
        return encoded.numpy()

    return step


class TorchStep(nn.Module):
    """A step whose state is its further inputs and outputs, in a fixed order."""

    def __init__(self, model: U2, state_names: list[str]):
        super().__init__()
        self.model = model
        self.state_names = state_names

    def forward(self, features: torch.Tensor, *state: torch.Tensor) -> tuple[torch.Tensor, ...]:
        named = dict(zip(self.state_names, state, strict=True))
        encoded, log_probs, following = self.model.step(features, named)
        return encoded, log_probs, *(following[name] for name in self.state_names)


class WholeSegment(nn.Module):
    """A step from the initial state without left context, which nothing follows."""

    def __init__(self, model: U2):
        super().__init__()
        self.model = model

    def forward(self, features: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        encoded, log_probs, _ = self.model.step(features, self.model.encoder.initial_state(1, 0))
        return encoded, log_probs
