"""What each layer loses with fewer bits and saves in bytes and time, and a mixed map from it.

One layer at a time gets the low format while all others keep the high one; the training graph,
whose layers are the integer operation of the device, then hears recordings. A layer's cost is how
far the model's log-probabilities move (KL divergence per label, both heads) and how its greedy
word errors change; its saving is bytes of codes and time of its kernel.

Source: the mixed 4/8-bit models of Ding et al. 2022 (arXiv:2203.15952), which look at word errors.
On a few hundred recordings the errors of most layers do not move at all, so ours ranks by
divergence and prints both. Costs are added up as if layers did not interact; the proposed map is
therefore measured as a whole beside the uniform ones.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from halfbyte import _core
from halfbyte.data.audio import read_audio
from halfbyte.data.fbank import Fbank
from halfbyte.data.manifest import Utterance
from halfbyte.data.tokenizer import Tokenizer
from halfbyte.errors import ConfigError
from halfbyte.measure.wer import Errors, count_errors
from halfbyte.models.u2 import U2, LogProbs
from halfbyte.progress import progress_bar
from halfbyte.quant.formats import Format, format_named
from halfbyte.quant.layers import NativeLinear
from halfbyte.quant.methods import Methods
from halfbyte.quant.native import NativeLayer, native_layers
from halfbyte.quant.packing import pack
from halfbyte.train.checkpoint import build_model, load_checkpoint, load_weights
from halfbyte.train.config import QuantizationConfig, TrainConfig
from halfbyte.train.distillation import divergence
from halfbyte.train.task import greedy_tokens

_ROWS = 8  # encoder steps of a 640 ms chunk at 80 ms
_TIMED_RUNS = 30


@dataclass(frozen=True)
class LayerCost:
    """One layer in the low format, all others in the high one.

    Attributes:
        name: of the layer.
        divergence: per label, from the model with no layer in the low format.
        wer_change: word error rate less that of the model with no layer in the low format.
        saved_bytes: of codes, packed.
        saved_us: of the layer's kernel for 8 rows, on one thread; 0 for embeddings.
    """

    name: str
    divergence: float
    wer_change: float
    saved_bytes: int
    saved_us: float


@dataclass(frozen=True)
class MapResult:
    """A whole map, measured.

    Attributes:
        name: "all w8a8", "all w4a8" or "proposed".
        divergence: per label, from all layers in the high format.
        wer: greedy, of the CTC head.
        code_bytes: of all quantised layers, packed.
    """

    name: str
    divergence: float
    wer: float
    code_bytes: int


@dataclass(frozen=True)
class Sensitivity:
    """The report: costs in the order of the model, the proposed map, and maps as a whole."""

    costs: list[LayerCost]
    proposed: QuantizationConfig
    maps: list[MapResult]


@dataclass(frozen=True)
class Trial:
    """What to try.

    Attributes:
        low, high: names of formats with the same activation bits.
        budget: share of the divergence of all layers, added up, that the map may keep.
    """

    low: str = "w4a8"
    high: str = "w8a8"
    budget: float = 0.5

    def formats(self) -> tuple[Format, Format]:
        """The two formats.

        Raises:
            ConfigError: they do not fit together, or the budget lies outside 0..1.
        """
        low, high = format_named(self.low), format_named(self.high)
        if low.activation_bits != high.activation_bits or low.weight_bits >= high.weight_bits:
            raise ConfigError(
                f"{self.low} and {self.high} came; expected fewer bits of weights, and the same of "
                "activations"
            )
        if not 0 <= self.budget <= 1:
            raise ConfigError(f"a budget of {self.budget} came; expected 0 to 1")
        return low, high


def measure_sensitivity(checkpoint: Path, utterances: list[Utterance], trial: Trial) -> Sensitivity:
    """Try every layer of a model, and propose a mixed map.

    Args:
        checkpoint: folder; its float32 master weights are quantised by abs-max, so a model
            trained in float32 shows what post-training formats cost, and a natively trained one
            what it still leans on.
        utterances: with text.

    Raises:
        ConfigError: formats or budget are wrong, or no utterance has text.
    """
    low, high = trial.formats()
    utterances = [u for u in utterances if u.text]
    if not utterances:
        raise ConfigError("nothing to listen to: the manifest has no utterance with text")
    config, tokenizer, trained = load_checkpoint(checkpoint)
    config.quantization = QuantizationConfig(high.name)
    model = build_model(config, trained.num_tokens).eval()
    load_weights(model, checkpoint)
    listener = _Listener(config, tokenizer, utterances)
    reference = listener.hear(model)
    costs = []
    layers = native_layers(model)
    for name in progress_bar(list(layers), "trying layers"):
        with _in_format(name, layers[name], low):
            heard = listener.hear(model)
        costs.append(_cost(name, layers[name], low, high, heard, reference))
    proposed = propose(costs, trial)
    maps = [
        _whole(listener, reference, model, title, chosen, low)
        for title, chosen in (
            (f"all {high.name}", set[str]()),
            (f"all {low.name}", set(layers)),
            ("proposed", set(layers) - set(proposed.layers)),
        )
    ]
    return Sensitivity(costs, proposed, maps)


def propose(costs: list[LayerCost], trial: Trial) -> QuantizationConfig:
    """The map that saves most bytes for its divergence, costs added up, within the budget.

    Layers take the low format in the order of divergence per saved byte while the sum stays within
    `budget` of the sum over all layers; those that are left keep the high format.
    """
    allowed = trial.budget * sum(cost.divergence for cost in costs)
    spent = 0.0
    kept = []
    for cost in sorted(costs, key=lambda c: c.divergence / max(1, c.saved_bytes)):
        if spent + cost.divergence <= allowed:
            spent += cost.divergence
        else:
            kept.append(cost.name)
    return QuantizationConfig(trial.low, dict.fromkeys(sorted(kept), trial.high))


@dataclass(frozen=True)
class _Heard:
    """What a model says of all utterances."""

    said: list[LogProbs]
    errors: Errors


class _Listener:
    """Utterances as features and tokens, ready to be heard again and again."""

    def __init__(self, config: TrainConfig, tokenizer: Tokenizer, utterances: list[Utterance]):
        self._tokenizer = tokenizer
        self._texts = [u.text for u in utterances]
        fbank = Fbank(config.features)
        rate_hz = config.features.sample_rate_hz
        shortest = config.features.frame_length_samples + 40 * config.features.frame_shift_samples
        self._features: list[Tensor] = []
        for utterance in progress_bar(utterances, "reading"):
            audio = torch.from_numpy(read_audio(utterance.audio_path, rate_hz))
            audio = torch.nn.functional.pad(audio, (0, max(0, shortest - audio.shape[0])))
            self._features.append(fbank(audio[None]))

    def hear(self, model: U2) -> _Heard:
        """Every utterance at full context."""
        said, errors = [], Errors()
        with torch.no_grad():
            for features, text in zip(self._features, self._texts, strict=True):
                tokens = torch.tensor([self._tokenizer.encode(text)], dtype=torch.int64)
                num_frames = torch.tensor([features.shape[1]])
                one = model.log_probs(features, num_frames, tokens, torch.tensor([tokens.shape[1]]))
                said.append(one)
                (heard,) = greedy_tokens(one.ctc, one.num_steps)
                errors += count_errors(text, self._tokenizer.decode(heard))
        return _Heard(said, errors)


def _apart(heard: _Heard, reference: _Heard) -> float:
    pairs = zip(heard.said, reference.said, strict=True)
    return float(np.mean([float(divergence(a, b, 0.5)) for a, b in pairs]))


def _cost(
    name: str, layer: NativeLayer, low: Format, high: Format, heard: _Heard, reference: _Heard
) -> LayerCost:
    saved_us = 0.0
    if isinstance(layer, NativeLinear):
        saved_us = _kernel_us(layer, high) - _kernel_us(layer, low)
    saved_bytes = _code_bytes(layer, high) - _code_bytes(layer, low)
    wer_change = heard.errors.wer - reference.errors.wer
    return LayerCost(name, _apart(heard, reference), wer_change, saved_bytes, round(saved_us, 3))


def _whole(
    listener: _Listener, reference: _Heard, model: U2, title: str, chosen: set[str], low: Format
) -> MapResult:
    layers = native_layers(model)
    code_bytes = sum(_code_bytes(x, low if n in chosen else x.number) for n, x in layers.items())
    changed = [_in_format(name, layers[name], low) for name in sorted(chosen)]
    for change in changed:
        change.__enter__()
    heard = listener.hear(model)
    for change in changed:
        change.__exit__(None, None, None)
    return MapResult(title, _apart(heard, reference), heard.errors.wer, code_bytes)


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
    packed = pack(codes, bits)
    x, scales = random.standard_normal((_ROWS, k), np.float32), np.ones(n, np.float32)
    out = np.empty((_ROWS, n), np.float32)
    best = np.inf
    for _ in range(_TIMED_RUNS):
        start_s = time.perf_counter()
        _core.kernels.linear(x, packed, bits, number.activation_bits, scales, scales, out)
        best = min(best, time.perf_counter() - start_s)
    return best * 1e6
