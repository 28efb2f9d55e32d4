"""A checkpoint folder: configuration, vocabulary and weights, all that later work starts from."""

import fnmatch
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from torch import Tensor, nn

from halfbyte.blocks.integer import make_integer
from halfbyte.data.needs import Vocabulary
from halfbyte.errors import ConfigError
from halfbyte.families.family import Family, Inputs
from halfbyte.families.registry import find_family
from halfbyte.files import write_together
from halfbyte.ops.native import make_native, native_layers
from halfbyte.quant.formats import LayerMap
from halfbyte.quant.lsq import LearnedStep
from halfbyte.quant.methods import Methods
from halfbyte.train.config import AnyConfig, dump_config, load_config

CONFIG, WEIGHTS = "config.yaml", "weights.safetensors"
METRICS = "metrics.jsonl"  # of a run
RESULT = "result"  # checkpoint folder that a run ends with
_SCALE = "!scale"  # after the name of a matrix of codes
ARITHMETICS = ("dynamic", "integer")


def family_of(config: AnyConfig) -> Family[Any, Any]:
    """The family that a configuration names."""
    return find_family(config.family)


def inputs_of(config: AnyConfig, vocabulary: Vocabulary) -> Inputs:
    """What the model of a configuration is built for."""
    return Inputs(config.features, vocabulary)


def build_model(config: AnyConfig, vocabulary: Vocabulary) -> Any:
    """The model of a configuration with fresh weights, native where the configuration says."""
    family = family_of(config)
    model = family.build(config.model, inputs_of(config, vocabulary))
    chosen = config.quantization
    methods = Methods(chosen.weights, chosen.activations, chosen.group)
    make_native(model, LayerMap(chosen.default, chosen.layers), methods)
    if chosen.arithmetic not in ARITHMETICS:
        raise ConfigError(
            f"quantization.arithmetic is {chosen.arithmetic!r}; expected {' or '.join(ARITHMETICS)}"
        )
    if chosen.arithmetic == "integer":
        if chosen.activations != "absmax":
            raise ConfigError(
                "quantization.arithmetic=integer has ranges of its own; "
                "leave quantization.activations at absmax"
            )
        if not family.integer_parts:
            raise ConfigError(f"family {config.family} has no integer-only mode")

        def run() -> None:
            first = next(iter(family.graphs(model).values()))
            first.run(first.test)

        make_integer(model, family.integer_parts, run)
    return model


def save_checkpoint(
    folder: Path,
    config: AnyConfig,
    vocabulary: Vocabulary,
    weights: dict[str, Tensor],
    stored: torch.dtype = torch.float32,
) -> None:
    """Write a checkpoint folder.

    Args:
        stored: type of the weights in the file. float16 is enough to start training from; so is
            int8, where matrices have 8-bit codes with a scale for each row, and the rest float16.
    """
    tensors: dict[str, Tensor] = {}
    for name, value in weights.items():
        tensors |= _as_stored(name, value.detach(), stored)
    contents = {
        family_of(config).needs.file: vocabulary.content,
        CONFIG: dump_config(config).encode(),
        WEIGHTS: safetensors.torch.save(tensors),
    }
    write_together(folder, contents)


def find_checkpoint(folder: Path) -> Path:
    """The checkpoint folder that a path means: itself, or the result of a run."""
    result = folder / RESULT
    is_run = not (folder / WEIGHTS).is_file() and (result / WEIGHTS).is_file()
    return result if is_run else folder


def _as_stored(name: str, value: Tensor, stored: torch.dtype) -> dict[str, Tensor]:
    if stored != torch.int8:
        return {name: value.to(stored).contiguous()}
    if value.dim() < 2:
        return {name: value.half().contiguous()}
    scale = value.abs().amax(dim=-1, keepdim=True).clamp_min(1e-12) / 127
    return {name: (value / scale).round().to(torch.int8), name + _SCALE: scale.contiguous()}


def read_checkpoint_config(folder: Path) -> AnyConfig:
    """The configuration of a checkpoint folder or of the result of a run.

    Raises:
        ConfigError: a file is missing.
    """
    folder = find_checkpoint(folder)
    _raise_if_missing(folder, CONFIG)
    config = load_config(folder / CONFIG)
    for name in (family_of(config).needs.file, WEIGHTS):
        _raise_if_missing(folder, name)
    return config


def _raise_if_missing(folder: Path, name: str) -> None:
    if not (folder / name).is_file():
        is_run = (folder / METRICS).is_file()
        hint = "; it is a run that has not ended: `halfbyte train` goes on" if is_run else ""
        raise ConfigError(f"{folder} is no checkpoint: {name} is missing{hint}")


def load_checkpoint(folder: Path) -> tuple[AnyConfig, Any, Any]:
    """Read a checkpoint folder, or the result of a run: configuration, vocabulary, model.

    The model is in evaluation mode.

    Raises:
        ConfigError: a file is missing, or the weights are not those of the configuration.
    """
    folder = find_checkpoint(folder)
    config = read_checkpoint_config(folder)
    needs = family_of(config).needs
    vocabulary = needs.read((folder / needs.file).read_bytes())
    model = build_model(config, vocabulary)
    load_weights(model, folder)
    return config, vocabulary, model.eval()


def load_weights(model: nn.Module, folder: Path) -> None:
    """Load the weights of a checkpoint folder into a model of the same architecture.

    Number formats and methods may differ: scales that only the checkpoint has are left, those
    that only the model has start from its weights.

    Raises:
        ConfigError: names or shapes differ.
    """
    weights, has = _read_weights(folder), model.state_dict()
    differences = _differences(weights, has)
    if differences:
        more = f", and {len(differences) - 1} more differ" if len(differences) > 1 else ""
        raise ConfigError(
            f"{folder / WEIGHTS} does not fit the configuration: {differences[0]}{more}"
        )
    _load(model, {name: value for name, value in weights.items() if name in has})


def start_from(model: nn.Module, folder: Path, patterns: Sequence[str] = ("*",)) -> str:
    """Load what fits of a checkpoint folder's weights, by name and shape.

    Args:
        patterns: of the names that are wanted.

    Returns:
        What did not fit, in words; empty if all did.

    Raises:
        ConfigError: the weights cannot be read, or none of them fits.
    """
    stored, has = (
        {n: v for n, v in weights.items() if any(fnmatch.fnmatch(n, p) for p in patterns)}
        for weights in (_read_weights(folder), model.state_dict())
    )
    fitting = {n: v for n, v in stored.items() if n in has and v.shape == has[n].shape}
    if not fitting:
        raise ConfigError(f"none of the weights in {folder} fits the configuration")
    _load(model, fitting)
    differences = _differences(stored, has)
    if not differences:
        return ""
    more = f", and {len(differences) - 1} more" if len(differences) > 1 else ""
    return f"{folder}: {len(fitting)} weights taken; left out: {differences[0]}{more}"


def _read_weights(folder: Path) -> dict[str, Tensor]:
    path = find_checkpoint(folder) / WEIGHTS
    try:
        stored = safetensors.torch.load_file(path)
    except (OSError, safetensors.SafetensorError) as error:
        reason = " ".join(str(error).split())
        raise ConfigError(f"cannot read {path}: {reason}") from error
    scales = {n.removesuffix(_SCALE): stored.pop(n) for n in list(stored) if n.endswith(_SCALE)}
    for name, scale in scales.items():
        if name not in stored or scale.shape != (*stored[name].shape[:-1], 1):
            raise ConfigError(f"cannot read {path}: the scales of {name} fit no codes")
    return {name: value.float() * scales.get(name, 1.0) for name, value in stored.items()}


def _load(model: nn.Module, weights: dict[str, Tensor]) -> None:
    has = model.state_dict()
    model.load_state_dict(has | weights)
    _start_steps(model, has.keys() - weights.keys())


def _differences(stored: dict[str, Tensor], wanted: dict[str, Tensor]) -> list[str]:
    """What keeps weights from being loaded, in words; quantisers may differ."""
    shapes = [{n: list(v.shape) for n, v in weights.items()} for weights in (stored, wanted)]
    missing = [n for n in wanted if n in stored or not _is_of_quantizer(n)]
    unknown = [n for n in stored.keys() - wanted.keys() if not _is_of_quantizer(n)]
    return [
        f"{name} is {shapes[0].get(name, 'not there')}, expected {shapes[1].get(name, 'nothing')}"
        for name in [*missing, *unknown]
        if shapes[0].get(name) != shapes[1].get(name)
    ]


def _is_of_quantizer(name: str) -> bool:
    parts = (".weight_quantizer.", ".activation_quantizer.", "_range.")
    return any(part in name for part in parts)


def _start_steps(model: nn.Module, fresh: set[str]) -> None:
    """Start learned steps of weights that have just been loaded."""
    for name, layer in native_layers(model).items():
        if f"{name}.weight_quantizer.step" in fresh:
            assert isinstance(layer.weight_quantizer, LearnedStep)
            layer.weight_quantizer.start(layer.weight.detach())
