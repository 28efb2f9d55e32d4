"""A copy of a model whose parameters are what its file stores."""

import copy
from typing import TypeVar

from torch import nn

from halfbyte.ops.operator import Freezable, FrozenOperator
from halfbyte.quant.stored import StoredParameters

Model = TypeVar("Model", bound=nn.Module)


def freeze(model: Model) -> Model:
    """Copy a model for export: integer codes in place of weights, fp16 where it is stored.

    The copy can only be traced into ONNX; the original is unchanged.
    """
    frozen = copy.deepcopy(model).eval().requires_grad_(False)
    whole = ""  # name of the layer that was frozen last, its parts with it
    for name, layer in list(frozen.named_modules()):
        if whole and name.startswith(f"{whole}."):
            continue
        if isinstance(layer, Freezable):
            whole = name
            frozen.set_submodule(name, layer.freeze())
    for module in frozen.modules():
        if isinstance(module, StoredParameters) and module.stores_half:
            _halve_own_parameters(module)
    return frozen


def frozen_operators(frozen: nn.Module) -> dict[str, FrozenOperator]:
    """The nodes of a frozen model that hold constants, by name; products of packed codes aside."""
    found = {n: m for n, m in frozen.named_modules() if isinstance(m, FrozenOperator)}
    return {n: m for n, m in found.items() if m.constants and not m.operator.has_packed_codes}


def _halve_own_parameters(module: nn.Module) -> None:
    """Own small parameters to fp16; `stored` widens them again, as one Cast in the graph."""
    for parameter in module.parameters(recurse=False):
        parameter.data = parameter.data.half()
    for name, buffer in list(module.named_buffers(recurse=False)):
        setattr(module, name, buffer.half())
