"""Turns a float model into a native integer one, layer by layer."""

from torch import Tensor, nn

from halfbyte.errors import ConfigError
from halfbyte.ops.embedding import NativeEmbedding
from halfbyte.ops.folding import NormedLinear
from halfbyte.ops.native_linear import NativeLinear
from halfbyte.quant.formats import Format, LayerMap
from halfbyte.quant.methods import Methods
from halfbyte.quant.stored import StoredParameters

NativeLayer = NativeLinear | NativeEmbedding


def make_native(model: nn.Module, layer_map: LayerMap, methods: Methods | None = None) -> nn.Module:
    """Replace linear and embedding layers by native ones, as the map says; in place.

    Parameters keep their names and values, so a float checkpoint loads into a native model
    and the other way round. A weight that layers share stays one. Where a map leaves nothing but
    float32, the model is unchanged.

    Args:
        model: any module.
        layer_map: format per layer name.
        methods: where scales come from; abs-max if not given.

    Raises:
        ConfigError: a pattern of the map names no layer, or a method cannot serve a layer.
    """
    names = [n for n, m in model.named_modules() if isinstance(m, nn.Linear | nn.Embedding)]
    if unused := layer_map.unused_patterns(names):
        raise ConfigError(
            f"quantization pattern {unused[0]!r} matches no layer; layers are named like {names[0]}"
        )
    if layer_map.is_float:
        return model
    weights: dict[Tensor, Tensor] = {}
    for name in names:
        number = layer_map.format_of(name)
        if not number.is_float:
            _replace(model, name, number, methods or Methods(), weights)
    for module in model.modules():
        if isinstance(module, StoredParameters):
            module.stores_half = True
    return model


def native_layers(model: nn.Module) -> dict[str, NativeLayer]:
    """The native layers of a model by full name, in its own order."""
    return {n: m for n, m in model.named_modules() if isinstance(m, NativeLayer)}


def _replace(
    model: nn.Module,
    name: str,
    number: Format,
    methods: Methods,
    weights: dict[Tensor, Tensor],
) -> None:
    """weights: the native layers' of those that they replace; grows."""
    parent_name, _, child_name = name.rpartition(".")
    parent = model.get_submodule(parent_name)
    layer = getattr(parent, child_name)
    twin = _twin(layer, name, number, methods)
    twin.load_state_dict(layer.state_dict(), strict=False)  # a quantiser has state of its own
    twin.weight = weights.setdefault(layer.weight, twin.weight)
    setattr(parent, child_name, twin)


def _twin(
    layer: nn.Linear | nn.Embedding, name: str, number: Format, methods: Methods
) -> NativeLayer:
    n, k = layer.weight.shape
    if isinstance(layer, nn.Embedding):
        return NativeEmbedding(n, k, number, methods.of_table((n, k), number))
    weight_quantizer = methods.of_weights(name, (n, k), number)
    activation_quantizer = methods.of_activations(number)
    has_bias, norm = layer.bias is not None, layer.norm if isinstance(layer, NormedLinear) else None
    return NativeLinear(k, n, number, has_bias, weight_quantizer, activation_quantizer, norm)
