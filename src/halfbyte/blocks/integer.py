"""Integer-only mode: leaves of a native model give way to their twins on integers."""

from collections.abc import Callable, Sequence
from typing import Any, Protocol, runtime_checkable

import torch
from torch import nn

from halfbyte.errors import ConfigError
from halfbyte.ops.int_linear import IntegerLinear
from halfbyte.ops.integer_leaf import IntegerLeaf
from halfbyte.ops.native_linear import NativeLinear
from halfbyte.quant.ranges import Range


@runtime_checkable
class HasInteger(Protocol):
    """A leaf with a twin on integers."""

    def integer(self) -> nn.Module:
        """The twin; it takes over the leaf's parameters.

        Raises:
            ConfigError: the leaf has an option that the mode does not serve.
        """


def make_integer(model: nn.Module, parts: Sequence[str], run: Callable[[], object]) -> None:
    """Make parts of a native model integer-only; in place.

    Leaves are exchanged, the architecture is not. Then one forward pass tells every leaf from which
    range its operands come. From there on, a part's first batch in training sets its ranges.

    Args:
        model: after `make_native`.
        parts: names of modules.
        run: calls the parts in the order in which they follow each other.

    Raises:
        ConfigError: the model has options that this mode does not serve.
    """
    for part in parts:
        _exchange(model, part, parts)
    was_training = model.training
    with torch.no_grad():
        model.eval()
        run()
        model.train(was_training)
    for part in parts:
        module = model.get_submodule(part)
        for each in ranges_of(module):
            each.is_wired = True
        if not isinstance(module, IntegerLeaf):
            module.register_forward_pre_hook(_prepare, with_kwargs=True)


def ranges_of(model: nn.Module) -> list[Range]:
    """All ranges that a model holds."""
    return [module for module in model.modules() if isinstance(module, Range)]


def _exchange(model: nn.Module, name: str, parts: Sequence[str]) -> None:
    module = model.get_submodule(name)
    if isinstance(module, HasInteger):
        model.set_submodule(name, module.integer())
    elif isinstance(module, nn.Linear):
        model.set_submodule(name, _integer_linear(name, module, parts))
    else:
        for child, _ in list(module.named_children()):
            _exchange(model, f"{name}.{child}", parts)


def _integer_linear(name: str, layer: nn.Linear, parts: Sequence[str]) -> IntegerLinear:
    if not isinstance(layer, NativeLinear) or layer.number.activation_bits != 8:
        raise ConfigError(
            f"layer {name} must be w1a8 to w8a8 with one scale per output; integer-only models "
            f"need that of all layers of {', '.join(parts)}"
        )
    return IntegerLinear(layer)


def _prepare(part: nn.Module, args: Any, kwargs: Any) -> None:
    """Before a training step: the first batch sets the ranges, later ones move them."""
    if not part.training:
        return
    ranges = ranges_of(part)
    if any(each.sample is not None for each in ranges):
        return  # an observer will set them
    if not all(each.is_started for each in ranges):
        with torch.no_grad():
            part.forward(*args, **kwargs)  # past this hook
        for each in ranges:
            each.start()
    for each in ranges:
        each.move()
