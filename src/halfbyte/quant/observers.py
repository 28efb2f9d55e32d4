"""Post-training ranges: how to choose a scale from values alone, without training.

Three rules: the whole range (min-max), all but the rarest values (percentile), and the range with
the least squared error (MSE). They serve weights, where each channel or group chooses for itself,
and activations, whose values a `Sample` collects from calibration audio.

Sources: min-max: Jacob et al. 2018 (arXiv:1712.05877); percentile: Wu et al. 2020, "Integer
Quantization for Deep Learning Inference" (arXiv:2004.09602); MSE: as in MQBench (Li et al. 2021,
arXiv:2111.03759). Differences: our MSE may weigh each input of a weight by the mean square of the
activation that meets it, so that it is the error of the layer's output as far as inputs are
uncorrelated; and it is a search over fractions of the range, not a gradient method.
"""

from abc import ABC, abstractmethod

import torch
from torch import Tensor

from halfbyte.errors import ConfigError
from halfbyte.quant.absmax import stored_scale, weight_edge
from halfbyte.quant.quantizer import round_to_codes

PERCENT = 99.9
_FRACTIONS = torch.linspace(0.15, 1.0, 86)  # of the largest value, in steps of a hundredth
_TENSOR_VALUES = 1 << 16  # values of a batch that a sample keeps


class Observer(ABC):
    """A rule that turns values into a scale or a range."""

    @abstractmethod
    def scales(self, split: Tensor, num_bits: int, importance: Tensor | None = None) -> Tensor:
        """Symmetric scales.

        Args:
            split: (rows, groups, elements) float32.
            num_bits: 1 to 8.
            importance: broadcastable to `split`, at least 0; how much each error counts.

        Returns:
            (rows, groups) float32, as a file stores weight scales.
        """

    @abstractmethod
    def range(self, values: Tensor, num_bits: int) -> tuple[float, float]:
        """Lowest and highest value that codes of an affine quantiser shall reach; values: (n,)."""


class MinMax(Observer):
    """max|x| has the last code; at 1 bit the scale is mean|x| (absmax.py)."""

    def scales(self, split: Tensor, num_bits: int, importance: Tensor | None = None) -> Tensor:
        """max|x| / edge, at 1 bit mean|x|; `importance` has no part in it."""
        if num_bits == 1:
            return stored_scale(split.abs().double().mean(dim=2).float())
        return stored_scale(split.abs().amax(dim=2) / weight_edge(num_bits))

    def range(self, values: Tensor, num_bits: int) -> tuple[float, float]:
        low, high = values.aminmax()
        return float(low), float(high)


class Percentile(Observer):
    """The PERCENT quantile of |x| has the last code; what lies beyond is clipped."""

    def __init__(self, percent: float = PERCENT):
        if not 50 < percent <= 100:
            raise ConfigError(f"percentile is {percent}; expected above 50, up to 100")
        self._share = percent / 100

    def scales(self, split: Tensor, num_bits: int, importance: Tensor | None = None) -> Tensor:
        """Quantile of |x| / edge, at 1 bit mean|x|; `importance` has no part in it."""
        if num_bits == 1:
            return stored_scale(split.abs().double().mean(dim=2).float())
        edge = torch.quantile(split.abs(), self._share, dim=2)
        return stored_scale(edge / weight_edge(num_bits))

    def range(self, values: Tensor, num_bits: int) -> tuple[float, float]:
        low, high = torch.quantile(values, torch.tensor([1 - self._share, self._share]))
        return float(low), float(high)


class MeanSquare(Observer):
    """The scale with the least sum of importance · (x - x̂)², of fractions of max|x|."""

    def scales(self, split: Tensor, num_bits: int, importance: Tensor | None = None) -> Tensor:
        """Of each row and group the fraction of max|x| whose weighted squared error is least."""
        weight = torch.ones(()) if importance is None else importance
        largest = split.abs().amax(dim=2) / weight_edge(num_bits)  # (rows, groups)
        best = stored_scale(largest)
        least = torch.full_like(best, torch.inf)
        for fraction in _FRACTIONS:
            scales = stored_scale(largest * fraction)
            error = (weight * (_rounded(split, scales, num_bits) - split).square()).sum(dim=2)
            is_better = error < least
            best = torch.where(is_better, scales, best)
            least = torch.where(is_better, error, least)
        return best

    def range(self, values: Tensor, num_bits: int) -> tuple[float, float]:
        """The fraction of (min, max), widened to hold zero, whose squared error is least."""
        low, high = (float(v) for v in values.aminmax())
        low, high = min(low, 0.0), max(high, 0.0)
        errors = [_affine_error(values, low * f, high * f, num_bits) for f in _FRACTIONS.tolist()]
        fraction = _FRACTIONS[int(torch.tensor(errors).argmin())].item()
        return low * fraction, high * fraction


OBSERVERS: dict[str, type[Observer]] = {
    "minmax": MinMax,
    "percentile": Percentile,
    "mse": MeanSquare,
}


def observer_named(name: str, key: str = "observer") -> Observer:
    """The observer of that name.

    Args:
        key: of the configuration that says so, for the error.

    Raises:
        ConfigError: there is none.
    """
    if name not in OBSERVERS:
        raise ConfigError(f"{key} is {name!r}; expected one of {', '.join(OBSERVERS)}")
    return OBSERVERS[name]()


class Sample:
    """What a layer's input was on calibration audio.

    Keeps the extremes of all values, the mean square of each input, and evenly spread values of
    each batch, the largest and smallest among them.
    """

    def __init__(self) -> None:
        self._kept: list[Tensor] = []
        self._squares: Tensor | None = None
        self.num_rows = 0

    def add(self, x: Tensor) -> None:
        """Take note of a batch; x: (..., K) float32."""
        rows = x.detach().reshape(-1, x.shape[-1]).float()
        flat = rows.flatten()
        step = max(1, flat.numel() // _TENSOR_VALUES)
        self._kept.append(torch.cat([flat[::step], torch.stack(flat.aminmax())]))
        squares = rows.square().sum(dim=0)
        self._squares = squares if self._squares is None else self._squares + squares
        self.num_rows += rows.shape[0]

    @property
    def values(self) -> Tensor:
        """(n,) float32."""
        return torch.cat(self._kept)

    @property
    def mean_squares(self) -> Tensor:
        """Of each input; (K,) float32."""
        assert self._squares is not None
        return self._squares / self.num_rows


def _rounded(split: Tensor, scales: Tensor, num_bits: int) -> Tensor:
    wide = scales.unsqueeze(2)
    return round_to_codes(split / wide, num_bits) * wide


def _affine_error(values: Tensor, low: float, high: float, num_bits: int) -> float:
    steps = 2**num_bits - 1
    scale = max((high - low) / steps, 2.0**-100)
    zero = round(-low / scale)
    codes = torch.clamp(torch.round(values / scale) + zero, 0, steps)
    return float(((codes - zero) * scale - values).square().sum())
