"""What each layer loses with fewer bits and saves in bytes and time, and a mixed map from it.

One layer at a time gets fewer bits while all others keep the most; the training graph, whose layers
are the integer operation of the device, then hears recordings. A layer's cost is how far the
model's outputs move (the family's divergence, heads alike) and how its first figure changes, such
as greedy word errors; its saving is bytes of codes and time of its kernel.

Source: the mixed 4/8-bit models of Ding et al. 2022 (arXiv:2203.15952), which look at word errors.
On a few hundred recordings the errors of most layers do not move at all, so ours ranks by
divergence and prints both. Costs are added up as if layers did not interact; the proposed map is
therefore measured as a whole beside the uniform ones.
"""

import itertools
import math
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import reduce
from operator import add
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from halfbyte import _core
from halfbyte.data.audio import read_utterance
from halfbyte.data.manifest import Utterance
from halfbyte.data.needs import Batch, Vocabulary
from halfbyte.errors import ConfigError
from halfbyte.ops.native import NativeLayer, native_layers
from halfbyte.ops.native_linear import NativeLinear
from halfbyte.progress import progress_bar
from halfbyte.quant.formats import Format, format_named
from halfbyte.quant.methods import Methods
from halfbyte.scores.score import Score
from halfbyte.train.checkpoint import (
    build_model,
    family_of,
    inputs_of,
    load_checkpoint,
    load_weights,
)
from halfbyte.train.config import AnyConfig, QuantizationConfig

_ROWS = 8  # encoder steps of a 640 ms chunk at 80 ms
_TIMED_RUNS = 30


@dataclass(frozen=True)
class LayerCost:
    """One layer with fewer bits, all others with the most.

    Attributes:
        name: of the layer.
        number_format: that it is tried in.
        divergence: per label, from the model whose layers all have the most bits.
        change: of the family's first figure, such as word errors, from that of that model.
        code_bytes: of its codes, packed.
        saved_bytes: less than with the most bits.
        saved_us: of the layer's kernel for 8 rows, on one thread; 0 for embeddings.
    """

    name: str
    number_format: str
    divergence: float
    change: float
    code_bytes: int
    saved_bytes: int
    saved_us: float


@dataclass(frozen=True)
class MapResult:
    """A whole map, measured.

    Attributes:
        name: "proposed" or "all FORMAT".
        divergence: per label, from all layers with the most bits.
        figure: the family's first, such as word errors.
        code_bytes: of all quantised layers, packed.
    """

    name: str
    divergence: float
    figure: float
    code_bytes: int


@dataclass(frozen=True)
class Sensitivity:
    """The report.

    Attributes:
        figure: name of the family's first figure.
        costs: in the order of the model.
        proposed: the map.
        maps: it and others as a whole.
    """

    figure: str
    costs: list[LayerCost]
    proposed: QuantizationConfig
    maps: list[MapResult]


@dataclass(frozen=True)
class Trial:
    """What to try.

    Attributes:
        formats: names, from the most bits of weights to the fewest, with the same activation bits.
        budget: bytes of codes that the map may have, relative to all layers in the second format.
    """

    formats: tuple[str, ...] = ("w8a8", "w4a8")
    budget: float = 1.02

    def numbers(self) -> list[Format]:
        """The formats.

        Raises:
            ConfigError: they do not fit together, or no map keeps to the budget.
        """
        numbers = [format_named(name) for name in self.formats]
        bits = [number.weight_bits for number in numbers]
        if (
            len(numbers) < 2
            or any(number.is_float for number in numbers)
            or len({number.activation_bits for number in numbers}) > 1
            or any(more <= fewer for more, fewer in itertools.pairwise(bits))
        ):
            raise ConfigError(
                "--formats must list two or more quantised formats in decreasing order of weight "
                f"bits, all with the same activation bits; got {' '.join(self.formats)}"
            )
        least = math.ceil(1000 * bits[-1] / bits[1]) / 1000
        if not least <= self.budget:
            raise ConfigError(
                f"--budget must be at least {least} with {self.formats[-1]}; got {self.budget}"
            )
        return numbers


def measure_sensitivity(checkpoint: Path, utterances: list[Utterance], trial: Trial) -> Sensitivity:
    """Try every layer of a model, and propose a mixed map.

    Args:
        checkpoint: folder; its float32 master weights are quantised by abs-max, so a model
            trained in float32 shows what post-training formats cost, and a natively trained one
            what it still leans on.
        utterances: with labels.

    Raises:
        ConfigError: formats or budget are wrong, or there are no utterances.
    """
    high, *lower = trial.numbers()
    config, vocabulary, _ = load_checkpoint(checkpoint)
    if not utterances:
        raise ConfigError("nothing to listen to: the manifest has no utterance with labels")
    config.quantization = QuantizationConfig(high.name)
    model = build_model(config, vocabulary).eval()
    load_weights(model, checkpoint)
    listener = _Listener(config, vocabulary, utterances)
    reference = listener.hear(model)
    figure, best = _figure(reference.score)
    costs = []
    layers = native_layers(model)
    for name, low in progress_bar(list(itertools.product(layers, lower)), "trying layers"):
        with _in_format(name, layers[name], low):
            heard = listener.hear(model)
            apart = listener.apart(model, heard, reference)
        change = _figure(heard.score)[1] - best
        costs.append(_cost(name, layers[name], (high, low), apart, change))
    proposed = propose(costs, trial)
    chosen = {name: proposed.layers.get(name, proposed.default) for name in layers}
    wholes = {f"all {name}": dict.fromkeys(layers, name) for name in trial.formats}
    wholes["proposed"] = chosen
    maps = [_whole(listener, reference, model, title, whole) for title, whole in wholes.items()]
    return Sensitivity(figure, costs, proposed, maps)


def propose(costs: list[LayerCost], trial: Trial) -> QuantizationConfig:
    """A map within the budget of bytes, found greedily, costs added up.

    All layers begin with the most bits; the step of one layer to fewer bits that adds the least
    divergence for each byte that it saves is taken, again and again, until the budget is kept.
    """
    ladders: dict[str, list[LayerCost]] = {}
    for cost in costs:
        first = LayerCost(
            cost.name, trial.formats[0], 0.0, 0.0, cost.code_bytes + cost.saved_bytes, 0, 0.0
        )
        ladders.setdefault(cost.name, [first]).append(cost)
    at = dict.fromkeys(ladders, 0)
    num_bytes = sum(ladder[0].code_bytes for ladder in ladders.values())
    allowed = trial.budget * sum(ladder[1].code_bytes for ladder in ladders.values())
    while num_bytes > allowed:
        able = [name for name, ladder in ladders.items() if at[name] + 1 < len(ladder)]
        if not able:
            break  # bytes of single layers are rounded down, so the least budget may be passed
        name = min(able, key=lambda name: _price(*ladders[name][at[name] : at[name] + 2]))
        num_bytes -= ladders[name][at[name]].code_bytes - ladders[name][at[name] + 1].code_bytes
        at[name] += 1
    default = trial.formats[1]
    chosen = {name: ladder[at[name]].number_format for name, ladder in ladders.items()}
    others = {name: chosen[name] for name in sorted(chosen) if chosen[name] != default}
    return QuantizationConfig(default, others)


def _price(here: LayerCost, below: LayerCost) -> float:
    return (below.divergence - here.divergence) / max(1, here.code_bytes - below.code_bytes)


@dataclass(frozen=True)
class _Heard:
    """What a model says of all utterances."""

    outputs: list[Any]
    score: Score


class _Listener:
    """Utterances as batches of one, ready to be heard again and again."""

    def __init__(self, config: AnyConfig, vocabulary: Vocabulary, utterances: list[Utterance]):
        self._family, self._inputs = family_of(config), inputs_of(config, vocabulary)
        self._batches: list[Batch] = []
        for utterance in progress_bar(utterances, "reading"):
            audio = read_utterance(utterance, config.features.sample_rate_hz)
            needs = self._family.needs
            self._batches.append(needs.of_utterance(utterance, audio, vocabulary, config.features))

    def hear(self, model: nn.Module) -> _Heard:
        """Every utterance at full context."""
        with torch.no_grad():
            outputs = [self._family.outputs(model, batch) for batch in self._batches]
            scores = [self._family.validate(model, batch, self._inputs) for batch in self._batches]
        return _Heard(outputs, reduce(add, scores))

    def apart(self, model: nn.Module, heard: _Heard, reference: _Heard) -> float:
        """Mean divergence over utterances and heads."""
        found = [
            self._family.divergence(model, own, other).parts.values()
            for own, other in zip(heard.outputs, reference.outputs, strict=True)
        ]
        return float(np.mean([[float(part) for part in parts] for parts in found]))


def _figure(score: Score) -> tuple[str, float]:
    """The figure that matters most."""
    return next(iter(score.figures().items()))


def _cost(
    name: str, layer: NativeLayer, formats: tuple[Format, Format], apart: float, change: float
) -> LayerCost:
    high, low = formats
    saved_us = 0.0
    if isinstance(layer, NativeLinear):
        saved_us = _kernel_us(layer, high) - _kernel_us(layer, low)
    code_bytes = _code_bytes(layer, low)
    saved_bytes = _code_bytes(layer, high) - code_bytes
    return LayerCost(name, low.name, apart, change, code_bytes, saved_bytes, round(saved_us, 3))


def _whole(
    listener: _Listener, reference: _Heard, model: nn.Module, title: str, chosen: dict[str, str]
) -> MapResult:
    layers = native_layers(model)
    numbers = {name: format_named(chosen[name]) for name in layers}
    code_bytes = sum(_code_bytes(layer, numbers[name]) for name, layer in layers.items())
    with ExitStack() as changes:
        for name, layer in layers.items():
            changes.enter_context(_in_format(name, layer, numbers[name]))
        heard = listener.hear(model)
    apart = listener.apart(model, heard, reference)
    return MapResult(title, apart, _figure(heard.score)[1], code_bytes)


@contextmanager
def _in_format(name: str, layer: NativeLayer, number: Format) -> Iterator[None]:
    """The layer in another format for a while."""
    before = layer.number, layer.weight_quantizer
    n, k = layer.weight.shape
    layer.number = number
    layer.weight_quantizer = Methods().of_weights(name, (n, k), number)
    try:
        yield
    finally:
        layer.number, layer.weight_quantizer = before


def _code_bytes(layer: NativeLayer, number: Format) -> int:
    return layer.weight.numel() * number.weight_bits // 8


def _kernel_us(layer: NativeLinear, number: Format) -> float:
    """Best microseconds of the layer's kernel over 8 rows, warm, on one thread."""
    n, k = layer.weight.shape
    bits, random = number.weight_bits, np.random.default_rng(1)
    edge = max(1, 2 ** (bits - 1) - 1)
    codes = random.integers(-edge, edge + 1, (n, k)).astype(np.int8)
    if bits == 1:
        codes[codes == 0] = 1
    packed = number.codec.pack(codes)[None]
    x, scales = random.standard_normal((_ROWS, k), np.float32), np.ones(n, np.float32)
    out = np.empty((_ROWS, n), np.float32)
    layer_bits = bits, number.activation_bits
    seconds = _core.measure.time_linear(x, packed, *layer_bits, scales, scales, out, _TIMED_RUNS)
    return float(min(seconds)) * 1e6
