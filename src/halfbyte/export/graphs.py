"""The two graphs of a U2 model, traced into ONNX."""

import contextlib
import io
import logging
import warnings
from typing import Any

import onnx
import torch
from torch import Tensor, nn

from halfbyte.blocks.integer_encoder import IntegerEncoder
from halfbyte.families.u2.model import U2

OPSET = 21
_AUTO = torch.export.Dim.AUTO
_BATCH, _FRAMES, _LEFT = "batch", "frames", "left_context"


class _EncoderGraph(nn.Module):
    def __init__(self, model: U2, state_names: list[str]):
        super().__init__()
        self.model = model
        self.state_names = state_names

    def forward(self, features: Tensor, state: list[Tensor]) -> tuple[Tensor, ...]:
        named = dict(zip(self.state_names, state, strict=True))
        encoded, log_probs, following = self.model.step(features, named)
        if isinstance(self.model.encoder, IntegerEncoder):
            encoded = self.model.encoder.numbers(encoded)
        return encoded, log_probs, *(following[name] for name in self.state_names)


def state_axes(name: str, rank: int) -> dict[int, str]:
    """Open axes of a state tensor: the batch, and where there is one the left context."""
    part = name.rpartition(".")[2]
    left_axis = {"key": rank - 2, "value": rank - 2, "valid": 1}.get(part)
    return {0: _BATCH} if left_axis is None else {0: _BATCH, left_axis: _LEFT}


def trace_encoder(frozen: U2, initial_state: dict[str, Tensor]) -> onnx.ModelProto:
    """The streaming encoder with its CTC head: features and state in, and out again.

    Args:
        frozen: a frozen model.
        initial_state: of one stream; becomes the default value of the state inputs.
    """
    names = list(initial_state)
    window = 4 * frozen.encoder.subsampling.rate + frozen.encoder.subsampling.overlap_frames
    features = torch.zeros(2, window, frozen.encoder.feature_norm.mean.shape[0])
    state = [value.repeat(2, *[1] * (value.dim() - 1)) for value in initial_state.values()]
    axes = [{0: _BATCH, 1: _FRAMES}, *(state_axes(n, v.dim()) for n, v in initial_state.items())]
    outputs = ["encoder_out", "ctc_log_probs", *(f"next.{n.removeprefix('state.')}" for n in names)]
    open_axes = [dict.fromkeys(a, _AUTO) for a in axes]
    traced = _trace(
        _EncoderGraph(frozen, names),
        (features, state),
        (open_axes[0], open_axes[1:]),
        ["features", *names],
        outputs,
    )
    _name_axes(traced, axes)
    return traced


def trace_decoder(frozen: U2) -> onnx.ModelProto:
    """The attention decoder: tokens and encoder output to log-probabilities."""
    tokens = torch.ones(3, 5, dtype=torch.int64)
    memory = torch.zeros(1, 7, frozen.decoder.width)
    axes = [{0: "hypotheses", 1: "tokens"}, {1: "steps"}]
    open_axes = tuple(dict.fromkeys(a, _AUTO) for a in axes)
    traced = _trace(
        frozen.decoder, (tokens, memory), open_axes, ["tokens", "memory"], ["log_probs"]
    )
    _name_axes(traced, axes)
    return traced


def _trace(
    module: nn.Module,
    arguments: tuple[Any, ...],
    dynamic_shapes: tuple[Any, ...],
    input_names: list[str],
    output_names: list[str],
) -> onnx.ModelProto:
    """torch's dynamo exporter without its chatter; what it traces is checked afterwards."""
    loggers = [logging.getLogger(name) for name in ("torch.onnx", "torch.export")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with (
            torch.no_grad(),
            warnings.catch_warnings(),
            contextlib.redirect_stdout(io.StringIO()),
        ):
            warnings.simplefilter("ignore")
            program = torch.onnx.export(
                module.eval(),
                arguments,
                dynamo=True,
                opset_version=OPSET,
                dynamic_shapes=dynamic_shapes,
                input_names=input_names,
                output_names=output_names,
                verbose=False,
            )
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
    assert program is not None  # only the exporter of old returns nothing
    return program.model_proto


def _name_axes(traced: onnx.ModelProto, axes: list[dict[int, str]]) -> None:
    """Name the open axes of the inputs alike: the tracer numbers them one by one."""
    for graph_input, named in zip(traced.graph.input, axes, strict=True):
        for axis, name in named.items():
            graph_input.type.tensor_type.shape.dim[axis].dim_param = name
    del traced.graph.value_info[:]
    for output in traced.graph.output:
        for axis in output.type.tensor_type.shape.dim:
            if axis.HasField("dim_param"):
                axis.ClearField("dim_param")
