"""Static ranges of activations for integer-only models: one symmetric scale a tensor.

Source: Jacob et al. 2018 (arXiv:1712.05877): ranges are moving averages of what training sees.
Ours are symmetric, so that no zero point enters a product, padding is 0 in every tensor, and
attention and depthwise products need no correction terms; a tensor of one sign pays with one bit.
"""

import torch
from torch import Tensor, nn

from halfbyte.errors import ConfigError
from halfbyte.quant.carry import carry
from halfbyte.quant.moving_average import MOMENTUM
from halfbyte.quant.observers import Observer, Sample

_SMALLEST_RANGE = 2.0**-100


class Range(nn.Module):
    """amax, a moving average of max|x|; scale = amax / (2^(bits - 1) - 1).

    Until it is started it holds the largest value seen and nothing is rounded; from then on it
    moves between steps only (`move`), so that all of one step have the same scale. Before it is
    wired, while a model's layers first learn of each other, it takes note of nothing.

    Args:
        bits: 8 for codes, 16 for the residual stream.
        amax: of a range that is known beforehand and never moves.
    """

    amax: Tensor
    is_started: Tensor
    seen: Tensor

    def __init__(self, bits: int = 8, amax: float | None = None):
        super().__init__()
        self.largest = 2 ** (bits - 1) - 1
        self.is_fixed = amax is not None
        self.is_wired = False
        self.sample: Sample | None = None
        self.register_buffer("amax", torch.tensor(amax or 0.0))
        self.register_buffer("is_started", torch.tensor(float(self.is_fixed)))
        self.register_buffer("seen", torch.zeros(()), persistent=False)

    def observe(self, x: Tensor) -> None:
        """Take note of real values."""
        if self.is_fixed or not self.is_wired:
            return
        if self.sample is not None:
            self.sample.add(x)
        largest = x.detach().abs().amax().float()
        into = self.seen if self.is_started else self.amax
        into.copy_(torch.maximum(into, largest))

    def passes_real(self, is_training: bool) -> bool:
        """Whether values go on as they are: there is no scale yet to round them to."""
        return not self.is_started and (is_training or not self.is_wired)

    def start(self) -> None:
        """Round from now on."""
        self.is_started.fill_(1.0)

    def sample_values(self) -> None:
        """Keep some of the values that are observed from now on, for `start_with`."""
        self.sample = Sample()

    def start_with(self, observer: Observer) -> None:
        """Round from now on, in the range that a rule chooses from the sampled values.

        Ranges of 16 bits have codes to spare: they take the largest value seen.
        """
        bits = self.largest.bit_length() + 1
        if self.sample is not None and bits <= 8:
            scales = observer.scales(self.sample.values.reshape(1, 1, -1), bits)
            self.amax.copy_(scales.reshape(()) * self.largest)
        self.sample = None
        self.start()

    def move(self) -> None:
        """Move towards what was seen since the last time."""
        if self.is_started and self.seen > 0:
            self.amax.lerp_(self.seen, 1 - MOMENTUM)
            self.seen.zero_()

    @property
    def scale(self) -> float:
        """Real value of code 1.

        Raises:
            ConfigError: nothing has been seen yet.
        """
        if not self.is_started:
            raise ConfigError(
                "an integer-only model has no ranges yet: train it with "
                "quantization.arithmetic=integer (halfbyte train --from CHECKPOINT)"
            )
        return max(float(self.amax), _SMALLEST_RANGE) / self.largest

    def codes(self, x: Tensor) -> Tensor:
        """The codes of values that are codes times the scale; int64."""
        return torch.round(x.detach().float() / self.scale).to(torch.int64)

    def numbers(self, codes: Tensor) -> Tensor:
        """float(code) · scale, float32."""
        return codes.float() * torch.tensor(self.scale, dtype=torch.float32)

    def settle(self, real: Tensor, codes: Tensor) -> Tensor:
        """The values of `codes`, with the gradient of `real` where that lies inside the range."""
        limit = self.largest * self.scale
        return carry(real.clamp(-limit, limit), self.numbers(codes))
