"""Number formats of layers, and the map from layer names to formats."""

import fnmatch
from dataclasses import dataclass

from halfbyte.errors import ConfigError


@dataclass(frozen=True)
class Format:
    """Bits of the weights and activations of one layer; `float32` has neither."""

    name: str
    weight_bits: int
    activation_bits: int

    @property
    def is_float(self) -> bool:
        return self.weight_bits == 32


FORMATS = {
    "float32": Format("float32", 32, 32),
    "w8a8": Format("w8a8", 8, 8),
    "w4a8": Format("w4a8", 4, 8),
    "w4a4": Format("w4a4", 4, 4),
}


def format_named(name: str) -> Format:
    """The format of that name.

    Raises:
        ConfigError: there is none.
    """
    if name not in FORMATS:
        raise ConfigError(f"unknown number format {name!r}; expected one of {', '.join(FORMATS)}")
    return FORMATS[name]


class LayerMap:
    """Which format each layer has: the last matching pattern wins, else the default.

    Args:
        default: format of layers that no pattern names.
        layers: pattern of a layer's full name (`encoder.layers.*.feed_forward*`, shell
            wildcards) to the name of its format.

    >>> map = LayerMap("w4a8", {"encoder.*": "w8a8", "*.out": "float32"})
    >>> map.format_of("encoder.out").name, map.format_of("encoder.in").name
    ('float32', 'w8a8')
    """

    def __init__(self, default: str, layers: dict[str, str]):
        self._default = format_named(default)
        self._layers = {pattern: format_named(name) for pattern, name in layers.items()}

    @property
    def is_float(self) -> bool:
        """Whether every layer stays in float32."""
        return self._default.is_float and all(f.is_float for f in self._layers.values())

    def format_of(self, layer_name: str) -> Format:
        """The format of the layer with this full name."""
        chosen = self._default
        for pattern, layer_format in self._layers.items():
            if fnmatch.fnmatchcase(layer_name, pattern):
                chosen = layer_format
        return chosen

    def unused_patterns(self, layer_names: list[str]) -> list[str]:
        """Patterns that match no layer: a typing mistake more often than not."""
        return [p for p in self._layers if not fnmatch.filter(layer_names, p)]
