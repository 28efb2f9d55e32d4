"""Post-training quantisation: a float checkpoint becomes an integer one without training.

Layer inputs are recorded while the float model hears calibration audio; an observer then chooses a
scale for each output channel of the weights and, where activations have static ranges, for each
layer's input (quant/observers.py). The result is a checkpoint like any other, with learned-step
quantisers whose steps the observer has set: it is exported, verified, evaluated and fine-tuned
(`train --from`) as a trained one is.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from halfbyte.blocks.integer import ranges_of
from halfbyte.data.audio import read_utterance
from halfbyte.data.manifest import Utterance, evenly_spread
from halfbyte.data.needs import Batch, Vocabulary
from halfbyte.errors import ConfigError
from halfbyte.ops.embedding import NativeEmbedding
from halfbyte.ops.folding import keep_averages
from halfbyte.ops.native import native_layers
from halfbyte.ops.native_linear import NativeLinear
from halfbyte.progress import progress_bar
from halfbyte.quant.affine import Affine
from halfbyte.quant.formats import LayerMap
from halfbyte.quant.lsq import LearnedStep
from halfbyte.quant.observers import Observer, Sample, observer_named
from halfbyte.train.checkpoint import (
    build_model,
    family_of,
    load_checkpoint,
    load_weights,
    save_checkpoint,
)
from halfbyte.train.config import AnyConfig, QuantizationConfig

SILENCE = 1e-3  # a peak below it, -60 dB of full scale, is no speech to calibrate with
NUM_UTTERANCES = 64


@dataclass(frozen=True)
class Calibration:
    """What to calibrate with, and how ranges are chosen.

    Attributes:
        utterances: in the order of their manifests; evenly spread ones are heard.
        num_utterances: how many of them.
        observer: "minmax", "percentile" or "mse".
    """

    utterances: list[Utterance]
    num_utterances: int = NUM_UTTERANCES
    observer: str = "mse"

    def chosen(self) -> list[Utterance]:
        """The utterances that are heard.

        Raises:
            ConfigError: there are none.
            UsageError: fewer than one is asked for.
        """
        if not self.utterances:
            raise ConfigError("nothing to calibrate with: name a manifest with recordings")
        return evenly_spread(self.utterances, self.num_utterances)


def quantize_checkpoint(
    source: Path, folder: Path, quantization: QuantizationConfig, calibration: Calibration
) -> None:
    """Write the post-training quantised twin of a float checkpoint.

    Args:
        source: checkpoint folder of a float32 model.
        folder: where the new checkpoint goes.
        quantization: formats by layer; its weight method becomes `lsq`, which holds the steps.

    Raises:
        ConfigError: the source is quantised already, the map leaves nothing to quantise or names no
            layer, or the calibration audio is none or silent.
    """
    observer = observer_named(calibration.observer)
    config, vocabulary, float_model = load_checkpoint(source)
    if not LayerMap(config.quantization.default, config.quantization.layers).is_float:
        raise ConfigError(
            f"{source} was trained as {config.quantization.default}; quantize takes a float32 "
            "checkpoint (a natively trained one is quantised already: export it)"
        )
    if LayerMap(quantization.default, quantization.layers).is_float:
        raise ConfigError("every layer stays float32; set quantization.default to another format")
    new = replace(config, quantization=replace(quantization, weights="lsq"))
    model = build_model(new, vocabulary)
    load_weights(model, source)
    utterances = calibration.chosen()
    samples = record_inputs(float_model, vocabulary, config, utterances)
    set_ranges(model, samples, observer)
    if quantization.arithmetic == "integer":
        set_static_ranges(model, vocabulary, config, utterances, observer)
    save_checkpoint(folder, new, vocabulary, model.state_dict())


def record_inputs(
    model: nn.Module, vocabulary: Vocabulary, config: AnyConfig, utterances: list[Utterance]
) -> dict[str, Sample]:
    """What each linear layer's input is while the model hears some utterances at full context.

    Raises:
        ConfigError: not one of the utterances is louder than silence.
    """
    is_heard = False
    with _recording(model) as samples, torch.no_grad():
        for batch in _heard(config, vocabulary, utterances):
            is_heard = True
            family_of(config).outputs(model, batch)
    if not is_heard:
        raise ConfigError(
            f"calibration audio is silent: no sample of {len(utterances)} recordings exceeds "
            f"{SILENCE}; calibrate with speech"
        )
    return samples


def set_static_ranges(
    model: nn.Module,
    vocabulary: Vocabulary,
    config: AnyConfig,
    utterances: list[Utterance],
    observer: Observer,
) -> None:
    """Set all ranges of an integer-only model, whose weights have their steps; in place."""
    ranges = [each for each in ranges_of(model) if not each.is_fixed]
    for each in ranges:
        each.sample_values()
    keep_averages(model.train())
    with torch.no_grad():
        for batch in _heard(config, vocabulary, utterances):
            family_of(config).outputs(model, batch)
    model.eval()
    for each in ranges:
        each.start_with(observer)


def set_ranges(model: nn.Module, samples: dict[str, Sample], observer: Observer) -> None:
    """Set the steps of all weights and the ranges of static activations; in place."""
    for name, layer in native_layers(model).items():
        sample = samples.get(name)
        _set_weight_steps(layer, sample, observer)
        if isinstance(layer, NativeLinear) and sample is not None:
            _set_input_range(layer, sample, observer)


def _set_weight_steps(
    layer: NativeLinear | NativeEmbedding, sample: Sample | None, observer: Observer
) -> None:
    quantizer = layer.weight_quantizer
    assert isinstance(quantizer, LearnedStep)
    weight = layer.folded_weight().detach()
    split = quantizer.granularity.split(weight)
    importance = None
    if sample is not None and isinstance(layer, NativeLinear):
        wide = sample.mean_squares.expand_as(weight).contiguous()
        importance = quantizer.granularity.split(wide)
    quantizer.set_scales(observer.scales(split, quantizer.num_bits, importance))


def _set_input_range(layer: NativeLinear, sample: Sample, observer: Observer) -> None:
    quantizer = layer.activation_quantizer
    if isinstance(quantizer, Affine):
        quantizer.set_range(*observer.range(sample.values, quantizer.num_bits))
    elif isinstance(quantizer, LearnedStep):
        scales = observer.scales(sample.values.reshape(1, 1, -1), quantizer.num_bits)
        quantizer.set_scales(scales)


@contextmanager
def _recording(model: nn.Module) -> Iterator[dict[str, Sample]]:
    samples: dict[str, Sample] = {}

    def hook(name: str) -> Callable[[nn.Module, tuple[Tensor, ...]], None]:
        def record(_: nn.Module, inputs: tuple[Tensor, ...]) -> None:
            samples.setdefault(name, Sample()).add(inputs[0])

        return record

    handles = [
        module.register_forward_pre_hook(hook(name))
        for name, module in model.named_modules()
        if isinstance(module, nn.Linear)
    ]
    try:
        yield samples
    finally:
        for handle in handles:
            handle.remove()


def _heard(
    config: AnyConfig, vocabulary: Vocabulary, utterances: list[Utterance]
) -> Iterator[Batch]:
    """Utterances that are louder than silence, each as a batch of its own."""
    needs = family_of(config).needs
    for utterance in progress_bar(utterances, "calibrating"):
        audio = read_utterance(utterance, config.features.sample_rate_hz)
        if np.abs(audio).max() >= SILENCE:
            yield needs.of_utterance(utterance, audio, vocabulary, config.features)
