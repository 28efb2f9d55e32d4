"""One weight for several layers, such as an embedding and the output layer over the same tokens.

Source: Press and Wolf 2017, "Using the Output Embedding to Improve Language Models"
(arXiv:1608.05859).
"""

from typing import Any

from torch import nn


def share_weight(module: nn.Module, source: str, sharer: str) -> None:
    """Let a layer of a module have another one's weight, (N, K) float32.

    The module's state holds it once, under the source's name. Layers that take their places
    (ops/native.py) share too, and a model file stores equal codes once.

    Args:
        source, sharer: names of layers within the module.
    """
    layer = module.get_submodule(sharer)
    layer.weight = module.get_submodule(source).weight

    def leave_out(_: nn.Module, state: dict[str, Any], prefix: str, *__: Any) -> None:
        state.pop(f"{prefix}{sharer}.weight", None)

    def fill_in(_: nn.Module, state: dict[str, Any], prefix: str, *__: Any) -> None:
        if f"{prefix}{source}.weight" in state:
            state[f"{prefix}{sharer}.weight"] = state[f"{prefix}{source}.weight"]

    module.register_state_dict_post_hook(leave_out)
    module.register_load_state_dict_pre_hook(fill_in)
