"""Turns a float model into a native integer one, layer by layer."""

from torch import nn

from halfbyte.errors import ConfigError
from halfbyte.quant.formats import Format, LayerMap
from halfbyte.quant.layers import NativeEmbedding, NativeLinear, StoredParameters


def make_native(model: nn.Module, layer_map: LayerMap) -> nn.Module:
    """Replace linear and embedding layers by native ones, as the map says; in place.

    Parameters keep their names and values, so a float checkpoint loads into a native model
    and the other way round. Where a map leaves nothing but float32, the model is unchanged.

    Args:
        model: any module.
        layer_map: format per layer name.

    Raises:
        ConfigError: a pattern of the map names no layer.
    """
    names = [n for n, m in model.named_modules() if isinstance(m, nn.Linear | nn.Embedding)]
    if unused := layer_map.unused_patterns(names):
        raise ConfigError(
            f"quantization pattern {unused[0]!r} matches no layer; layers are named like {names[0]}"
        )
    if layer_map.is_float:
        return model
    for name in names:
        number = layer_map.format_of(name)
        if not number.is_float:
            _replace(model, name, number)
    for module in model.modules():
        if isinstance(module, StoredParameters):
            module.stores_half = True
    return model


def _replace(model: nn.Module, name: str, number: Format) -> None:
    parent_name, _, child_name = name.rpartition(".")
    parent = model.get_submodule(parent_name)
    setattr(parent, child_name, _native_twin(getattr(parent, child_name), number))


def _native_twin(layer: nn.Linear | nn.Embedding, number: Format) -> nn.Module:
    if isinstance(layer, nn.Embedding):
        twin: nn.Module = NativeEmbedding(layer.num_embeddings, layer.embedding_dim, number)
    else:
        twin = NativeLinear(
            layer.in_features, layer.out_features, number, bias=layer.bias is not None
        )
    twin.load_state_dict(layer.state_dict())
    return twin
