"""The methods by name, and which layers each can serve."""

from collections.abc import Callable
from dataclasses import dataclass

from halfbyte.errors import ConfigError
from halfbyte.quant.absmax import AbsMaxRows, AbsMaxWeight
from halfbyte.quant.formats import Format
from halfbyte.quant.learned_clip import LearnedClip
from halfbyte.quant.lsq import LearnedStep, power_of_two, real_scale
from halfbyte.quant.moving_average import MovingAverageAffine
from halfbyte.quant.quantizer import CHANNEL, Granularity, Quantizer
from halfbyte.quant.tanh_weight import TanhWeight

WEIGHT_METHODS = ("absmax", "lsq", "tanh")
_ACTIVATIONS: dict[str, Callable[[int], Quantizer]] = {
    "absmax": AbsMaxRows,
    "moving_average": MovingAverageAffine,
    "lsq": lambda num_bits: LearnedStep(num_bits, form=real_scale),
    "pact": LearnedClip,
    "power_of_two": lambda num_bits: LearnedStep(num_bits, form=power_of_two),
}
ACTIVATION_METHODS = tuple(_ACTIVATIONS)


@dataclass(frozen=True)
class Methods:
    """How weights and activations get their scales.

    Attributes:
        weights: "absmax", "lsq" or "tanh".
        activations: "absmax" (a scale per live row), or one static scale a tensor:
            "moving_average" and "pact" (affine, tracked and learned range), "lsq" (symmetric,
            learned) or "power_of_two" (the same, rounded to a power of two).
        group: inputs per weight scale; 0 is one scale per output. Weight-only layers alone
            compute with groups.

    Raises:
        ConfigError: a name is unknown, or the group is negative.
    """

    weights: str = "absmax"
    activations: str = "absmax"
    group: int = 0

    def __post_init__(self) -> None:
        _check("quantization.weights", self.weights, WEIGHT_METHODS)
        _check("quantization.activations", self.activations, ACTIVATION_METHODS)
        if self.group < 0:
            raise ConfigError(f"quantization.group is {self.group}; expected 0 or more inputs")

    def of_weights(self, layer: str, shape: tuple[int, int], number: Format) -> Quantizer:
        """The quantiser of a layer's weights.

        Args:
            layer: its full name, for errors.
            shape: (N, K).
            number: the layer's format.

        Raises:
            ConfigError: the method cannot serve the layer.
        """
        return self._of_weights(shape, number, self._granularity(layer, shape, number))

    def of_table(self, shape: tuple[int, int], number: Format) -> Quantizer:
        """The quantiser of an embedding table (V, D), one scale per row."""
        return self._of_weights(shape, number, CHANNEL)

    def of_activations(self, number: Format) -> Quantizer | None:
        """The quantiser of a layer's input; None where it stays float32."""
        if number.is_weight_only:
            return None
        return _ACTIVATIONS[self.activations](number.activation_bits)

    def _of_weights(
        self, shape: tuple[int, int], number: Format, granularity: Granularity
    ) -> Quantizer:
        if self.weights == "lsq":
            return LearnedStep(number.weight_bits, granularity, shape)
        kind = TanhWeight if self.weights == "tanh" else AbsMaxWeight
        return kind(number.weight_bits, granularity)

    def _granularity(self, layer: str, shape: tuple[int, int], number: Format) -> Granularity:
        if not self.group:
            return CHANNEL
        if not number.is_weight_only:
            raise ConfigError(
                f"layer {layer} is {number.name}, whose sums run over all inputs; groups of "
                f"{self.group} inputs serve weight-only formats (w4a32): set quantization.group=0"
            )
        if shape[1] % self.group:
            raise ConfigError(
                f"layer {layer} has {shape[1]} inputs, no multiple of quantization.group="
                f"{self.group}; choose a divisor, or give the layer another format"
            )
        return Granularity("group", self.group)


def _check(key: str, name: str, known: tuple[str, ...]) -> None:
    if name not in known:
        raise ConfigError(f"{key} is {name!r}; expected one of {', '.join(known)}")
