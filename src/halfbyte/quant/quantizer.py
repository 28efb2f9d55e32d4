"""What every quantiser is: values in, integer codes and scales out, and a rule for the gradient.

A method is a class of this interface in a file of its own (absmax.py, moving_average.py, lsq.py);
methods.py gives them their names. What a layer computes with and what is exported are the same
`Quantized`, so there is nothing to convert after training.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from halfbyte.errors import ConfigError

FEWEST_BITS, MOST_BITS = 1, 8
SMALLEST_WEIGHT_SCALE = 2.0**-14  # the smallest normal number of fp16


def largest_code(num_bits: int) -> int:
    """Largest code of a symmetric `num_bits` quantiser: 127 for 8 bits, 7 for 4, 1 for 2 and 1.

    Raises:
        ConfigError: `num_bits` is not 1 to 8.

    >>> [largest_code(bits) for bits in (1, 2, 3, 4, 8)]
    [1, 1, 3, 7, 127]
    """
    if not FEWEST_BITS <= num_bits <= MOST_BITS:
        raise ConfigError(f"a quantiser has {num_bits} bits; expected {FEWEST_BITS} to {MOST_BITS}")
    return max(1, (1 << (num_bits - 1)) - 1)


def round_to_codes(scaled: Tensor, num_bits: int) -> Tensor:
    """Nearest symmetric codes of values in units of their scale, ties to even.

    clip(rint(v), -qmax, qmax); of 1 bit there are no zeros, code = 1 if v >= 0 else -1.

    Args:
        scaled: any shape, float32.
        num_bits: 1 to 8.

    Returns:
        The shape of `scaled`, int8.
    """
    if num_bits == 1:
        return torch.where(scaled >= 0, 1, -1).to(torch.int8)
    qmax = largest_code(num_bits)
    return torch.round(scaled).clamp_(-qmax, qmax).to(torch.int8)


@dataclass(frozen=True)
class Granularity:
    """Which elements of an (N, K) tensor share a scale.

    Attributes:
        kind: "tensor", "channel" (each row its own) or "group" (each `group` inputs of a row).
        group: inputs per scale, for "group" only.
    """

    kind: str = "channel"
    group: int = 0

    def __post_init__(self) -> None:
        if self.kind not in ("tensor", "channel", "group"):
            raise ConfigError(f"granularity is {self.kind!r}; expected tensor, channel or group")
        if (self.kind == "group") != (self.group > 0):
            raise ConfigError(
                f"{self.kind} has group={self.group}; only a group has inputs, 1 or more"
            )

    def split(self, x: Tensor) -> Tensor:
        """(N, K) -> (rows, groups, elements of a scale), a view where there can be one.

        Raises:
            ConfigError: the group does not divide K.
        """
        n, k = x.shape
        if self.kind == "tensor":
            return x.reshape(1, 1, n * k)
        if self.kind == "channel":
            return x.reshape(n, 1, k)
        if k % self.group:
            raise ConfigError(f"group={self.group} does not divide {k} inputs; choose a divisor")
        return x.reshape(n, k // self.group, self.group)


TENSOR, CHANNEL = Granularity("tensor"), Granularity("channel")


@dataclass(frozen=True)
class Quantized:
    """Integer codes and what makes them numbers again: value = (code - zero_point) * scale.

    Attributes:
        codes: (N, K) int8.
        scales: (rows, groups) float32: (1, 1) per tensor, (N, 1) per channel, (N, K/G) per group.
        zero_points: int32 in the shape of `scales`; None where all are zero.
    """

    codes: Tensor
    scales: Tensor
    zero_points: Tensor | None = None

    def dequantize(self) -> Tensor:
        """The values that the codes stand for; (N, K) float32."""
        split = self.codes.reshape(*self.scales.shape, -1).float()
        if self.zero_points is not None:
            split = split - self.zero_points.unsqueeze(2)
        return (split * self.scales.unsqueeze(2)).reshape(self.codes.shape)


class Quantizer(nn.Module, ABC):
    """A method of quantisation for the weights or the activations of one layer.

    Args:
        num_bits: of a code, 1 to 8.
        granularity: which values share a scale.

    Raises:
        ConfigError: `num_bits` lies outside.
    """

    def __init__(self, num_bits: int, granularity: Granularity):
        super().__init__()
        largest_code(num_bits)
        self.num_bits, self.granularity = num_bits, granularity

    @property
    def limits(self) -> tuple[int, int]:
        """The least and the largest code."""
        return -largest_code(self.num_bits), largest_code(self.num_bits)

    @abstractmethod
    def quantize(self, x: Tensor) -> Quantized:
        """Codes and scales of x, as training computes with and as the file stores.

        Args:
            x: (N, K) float32, finite.
        """

    def gradient_path(self, x: Tensor) -> Tensor:
        """What the gradient of the dequantised x flows through, back to x and own parameters.

        Its value is not read. The rule of the straight-through estimator, the one unless a
        method has another: the gradient passes as if nothing were rounded (Bengio et al. 2013,
        arXiv:1308.3432).

        Args:
            x: (N, K) float32.

        Returns:
            The shape of x.
        """
        return x

    def observe(self, x: Tensor) -> None:
        """Take note of values seen in training, for methods that track ranges; (N, K) float32."""

    def extra_repr(self) -> str:
        return f"{self.num_bits} bits per {self.granularity.kind}"
