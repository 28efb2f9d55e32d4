"""The engine and its peers running one encoder, each as a call that takes a chunk of a stream."""

import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from halfbyte.engine import ModelFile, Session, State
from halfbyte.families.family import GraphSpec, following_states
from halfbyte.measure.encoder_models import Shape, Subject

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


def onnx_runtime_step(path: Path, subject: Subject, shape: Shape) -> Step:
    """ONNX Runtime on one thread."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    inputs: dict[str, Any] = dict(subject.initial_state(shape))

    def step(features: Floats) -> Floats:
        results = dict(zip(names, session.run(names, inputs | {"features": features}), strict=True))
        inputs.update(following_states(results))
        return results["encoder_out"]

    return step


def torch_step(subject: Subject, shape: Shape, is_int8: bool) -> Step:
    """Torch, traced and frozen for this shape; int8 is torch's dynamic quantisation."""
    module: nn.Module = TorchStep(subject.spec)
    if is_int8:
        module = torch.ao.quantization.quantize_dynamic(module, {nn.Linear}, torch.qint8)
    values = list(subject.states(shape).values())
    features = subject.features(shape)
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # TorchScript is deprecated, and traced sizes are fixed
        traced = torch.jit.freeze(torch.jit.trace(module.eval(), (features, *values), strict=False))
    return flat_step(traced, len(subject.spec.outputs), values)


def flat_step(
    module: Callable[..., Sequence[torch.Tensor]], num_outputs: int, states: Sequence[torch.Tensor]
) -> Step:
    """A module that takes features and states one by one, as `TorchStep`."""
    values = list(states)

    def step(features: Floats) -> Floats:
        with torch.inference_mode():
            outputs = module(torch.from_numpy(features), *values)
        values[:] = outputs[num_outputs:]
        encoded: Floats = outputs[0].numpy()
        return encoded

    return step


class TorchStep(nn.Module):
    """A graph whose states are its further inputs and outputs, in a fixed order."""

    def __init__(self, spec: GraphSpec):
        super().__init__()
        self.graph = spec.module

    def forward(self, features: torch.Tensor, *states: torch.Tensor) -> tuple[torch.Tensor, ...]:
        outputs: tuple[torch.Tensor, ...] = self.graph(features, list(states))
        return outputs


class WholeSegment(nn.Module):
    """A step from the initial state without left context, which nothing follows."""

    def __init__(self, subject: Subject):
        super().__init__()
        self.graph = subject.spec.module
        self.num_outputs = len(subject.spec.outputs)
        self.states = list(subject.states(Shape(0, 0)).values())

    def forward(self, features: torch.Tensor) -> tuple[torch.Tensor, ...]:
        outputs: tuple[torch.Tensor, ...] = self.graph(features, self.states)
        return outputs[: self.num_outputs]
