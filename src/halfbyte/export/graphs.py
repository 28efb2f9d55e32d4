"""The graphs of a model, traced into ONNX."""

import contextlib
import io
import logging
import warnings
from collections.abc import Mapping
from typing import Any

import onnx
import torch
from onnx import numpy_helper
from torch import nn

from halfbyte.export.freeze import freeze
from halfbyte.families.family import Example, GraphSpec

OPSET = 21
_AUTO = torch.export.Dim.AUTO


def trace(spec: GraphSpec) -> onnx.ModelProto:
    """A graph with its parameters as the file stores them.

    The states of one stream before its first chunk become the default values of their inputs.
    """
    inputs, states = list(spec.inputs.values()), list(spec.states.values())
    batch = inputs[0].value.shape[0]
    state = [e.value.repeat(batch, *[1] * (e.value.dim() - 1)) for e in states]
    # A copy each: the exporter takes one and the same tensor for one input.
    arguments: list[Any] = [e.value.clone() for e in inputs]
    open_axes: list[Any] = [_open(e) for e in inputs]
    if states:
        arguments, open_axes = [*arguments, state], [*open_axes, [_open(e) for e in states]]
    traced = _trace(
        freeze(spec.module),
        tuple(arguments),
        tuple(open_axes),
        [*spec.inputs, *spec.states],
        spec.output_names,
    )
    _name_axes(traced, [e.axes for e in (*inputs, *states)])
    for name, value in spec.initial_states().items():
        traced.graph.initializer.append(numpy_helper.from_array(value.numpy(), name))
    return traced


def _open(example: Example) -> dict[int, Any]:
    return dict.fromkeys(example.axes, _AUTO)


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


def _name_axes(traced: onnx.ModelProto, axes: list[Mapping[int, str]]) -> None:
    """Name the open axes of the inputs alike: the tracer numbers them one by one."""
    for graph_input, named in zip(traced.graph.input, axes, strict=True):
        for axis, name in named.items():
            graph_input.type.tensor_type.shape.dim[axis].dim_param = name
    del traced.graph.value_info[:]
    for output in traced.graph.output:
        for axis in output.type.tensor_type.shape.dim:
            if axis.HasField("dim_param"):
                axis.ClearField("dim_param")
