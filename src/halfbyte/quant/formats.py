"""Number formats of layers, and the map from layer names to formats."""

import fnmatch
from dataclasses import dataclass

from halfbyte.errors import ConfigError
from halfbyte.quant.codecs import CODECS
from halfbyte.quant.codecs.codec import Codec

FLOAT_BITS = 32


@dataclass(frozen=True)
class Format:
    """How the weights of one layer are stored, and the bits of its activations; 32 are float32.

    `w4a8` computes on integers, `w4a32` widens its weights and multiplies in float32, `float32`
    stores its weights in float32 too.

    Attributes:
        stored_codec: of the weights; None where they are float32.
    """

    name: str
    stored_codec: Codec | None
    activation_bits: int

    @property
    def codec(self) -> Codec:
        """How the codes of the weights are stored, of a format that has any."""
        assert self.stored_codec is not None
        return self.stored_codec

    @property
    def weight_bits(self) -> int:
        """Bits of a weight; 32 are float32."""
        return FLOAT_BITS if self.stored_codec is None else self.stored_codec.bits

    @property
    def is_float(self) -> bool:
        """Whether nothing is quantised."""
        return self.stored_codec is None

    @property
    def is_weight_only(self) -> bool:
        """Whether the weights are stored as integers and the product is float32."""
        return not self.is_float and self.activation_bits == FLOAT_BITS


_FLOAT = Format("float32", None, FLOAT_BITS)
_PAIRS = [*((bits, 8) for bits in range(1, 9)), (4, 4), (4, FLOAT_BITS)]
FORMATS = {_FLOAT.name: _FLOAT} | {
    f"w{w}a{a}": Format(f"w{w}a{a}", CODECS[f"uniform{w}"], a) for w, a in _PAIRS
}


def format_named(name: str, key: str = "number format") -> Format:
    """The format of that name.

    Args:
        key: of the configuration that says so, for the error.

    Raises:
        ConfigError: there is none.
    """
    if name not in FORMATS:
        raise ConfigError(f"{key} is {name!r}; expected one of {', '.join(FORMATS)}")
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
        self._default = format_named(default, "quantization.default")
        self._layers = {
            pattern: format_named(name, f"quantization.layers.{pattern}")
            for pattern, name in layers.items()
        }

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
