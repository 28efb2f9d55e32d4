"""Training configuration: dataclasses filled from YAML and `key=value` overrides."""

import contextlib
import dataclasses
import difflib
import reprlib
import types
import typing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from halfbyte.blocks.config import ModelConfig
from halfbyte.data.augment import AugmentConfig
from halfbyte.data.fbank import FeatureConfig
from halfbyte.data.tokenizer import TokenConfig
from halfbyte.errors import ConfigError

Config = typing.TypeVar("Config")


@dataclass
class DataConfig:
    """Which recordings, and how they are batched."""

    root: str = ""  # folder that manifests are relative to; empty: HALFBYTE_DATA
    train: list[str] = field(default_factory=list)
    dev: list[str] = field(default_factory=list)
    noise: list[str] = field(default_factory=list)  # manifests of noises to add
    cache: str = "~/.cache/halfbyte"  # folder for decoded audio
    batch_s: float = 60.0  # padded seconds of audio per batch and process
    longest_s: float = 20.0  # longer utterances are left out of training
    skip_bad: bool = False  # leave out bad lines of manifests instead of stopping
    workers: int = 0  # processes that make batches ahead; 0 makes them between steps


@dataclass
class QuantizationConfig:
    """Format of each layer (quant/formats.py), and where scales come from (quant/methods.py)."""

    default: str = "w4a8"
    layers: dict[str, str] = field(default_factory=dict)  # pattern of layer names -> format
    weights: str = "absmax"  # or lsq
    activations: str = "absmax"  # or moving_average, lsq
    group: int = 0  # inputs per scale of weight-only layers; 0 is one scale per output
    arithmetic: str = "dynamic"  # or integer: encoder and CTC head compute on integers only


@dataclass
class DistillationConfig:
    """Learning from another model beside the texts (train/distillation.py)."""

    teacher: str = ""  # checkpoint folder; empty: no distillation
    weight: float = 0.5  # loss = (1 - weight) · loss of the texts + weight · divergence


@dataclass
class OptimizerConfig:
    """AdamW with linear warm-up and a cosine to zero."""

    peak_rate: float = 8e-4
    warmup_steps: int = 500
    weight_decay: float = 1e-2
    gradient_clip: float = 1.0  # largest norm; 0: as it comes

    def __post_init__(self) -> None:
        if self.gradient_clip < 0:
            raise ConfigError(
                f"optimizer.gradient_clip is {self.gradient_clip}; expected the largest norm, or 0"
            )


@dataclass
class LoopConfig:
    """How long and where to train."""

    epochs: int = 20
    precision: str = "bf16-mixed"
    accelerator: str = "auto"
    devices: int = 1
    threads: int = 0  # of torch; 0 leaves torch's choice
    checkpoint_steps: int = 200
    average_last: int = 3  # epochs whose weights are averaged into the result


@dataclass
class TrainConfig:
    """Everything a training run depends on; stored beside its weights."""

    name: str = "model"
    seed: int = 1
    data: DataConfig = field(default_factory=DataConfig)
    features: FeatureConfig = field(default_factory=FeatureConfig)
    tokens: TokenConfig = field(default_factory=TokenConfig)
    augment: AugmentConfig = field(default_factory=AugmentConfig)
    model: ModelConfig = field(default_factory=ModelConfig)
    quantization: QuantizationConfig = field(default_factory=QuantizationConfig)
    distillation: DistillationConfig = field(default_factory=DistillationConfig)
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    loop: LoopConfig = field(default_factory=LoopConfig)


def load_config(path: Path, overrides: list[str] | None = None) -> TrainConfig:
    """Read a YAML file and apply `a.b.c=value` overrides, whose values are YAML too.

    Raises:
        ConfigError: the file cannot be read, or a key is unknown or of the wrong type.
    """
    tree = read_tree(path)
    for override in overrides or []:
        _apply_override(tree, override)
    return build_config(TrainConfig, tree)


def read_tree(path: Path) -> dict[str, Any]:
    """The keys and values of a YAML file.

    Raises:
        ConfigError: it cannot be read, or holds something else.
    """
    try:
        tree = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"cannot read configuration {path}: {error}") from error
    except (yaml.YAMLError, RecursionError) as error:
        raise ConfigError(f"{path} is not YAML: {' '.join(str(error).split())}") from error
    if not isinstance(tree, dict):
        raise ConfigError(f"{path} holds a {type(tree).__name__}; expected keys and values")
    return tree


def build_config(kind: type[Config], tree: dict[str, Any]) -> Config:
    """A dataclass from keys and values, nested ones too.

    Raises:
        ConfigError: a key is unknown, missing or of the wrong type.
    """
    return _build(kind, tree, "")


def dump_config(config: TrainConfig) -> str:
    """The whole configuration as YAML."""
    return yaml.safe_dump(plain_tree(config), sort_keys=False)


def plain_tree(config: Any) -> dict[str, Any]:
    """A configuration as nested dictionaries and lists, as YAML and JSON hold them."""
    return _plain(dataclasses.asdict(config))


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, list | tuple) else value


def _apply_override(tree: dict[str, Any], override: str) -> None:
    path, equals, text = override.partition("=")
    if not equals:
        raise ConfigError(f"override {override!r} has no value; expected key=value")
    *parents, key = path.split(".")
    for parent in parents:
        tree = tree.setdefault(parent, {})
        if not isinstance(tree, dict):
            raise ConfigError(f"override {override!r}: {parent!r} is a value, not a section")
    try:
        tree[key] = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ConfigError(f"override {override!r}: the value is not YAML") from error


def _build(kind: Any, tree: Any, path: str) -> Any:
    if not isinstance(tree, dict):
        raise ConfigError(f"{path.rstrip('.')} is {_shown(tree)}; expected a section")
    hints = typing.get_type_hints(kind)
    for key in tree:
        if key not in hints:
            raise ConfigError(_unknown_key(f"{path}{key}", key, list(hints)))
    for needed in dataclasses.fields(kind):
        has_default = needed.default is not needed.default_factory  # both are MISSING if not
        if needed.name not in tree and not has_default:
            raise ConfigError(f"{path}{needed.name} is missing")
    return kind(**{key: _convert(hints[key], tree[key], f"{path}{key}") for key in tree})


def _unknown_key(path: str, key: str, known: list[str]) -> str:
    nearest = difflib.get_close_matches(str(key), known, n=1, cutoff=0.0)
    return f"unknown configuration key {path!r}; did you mean {nearest[0]!r}?"


def _convert(hint: Any, value: Any, path: str) -> Any:
    if dataclasses.is_dataclass(hint):
        return _build(hint, value, f"{path}.")
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is list and isinstance(value, list):
        return [_convert(arguments[0], v, f"{path}[{i}]") for i, v in enumerate(value)]
    if origin is tuple and isinstance(value, list):
        if Ellipsis not in arguments and len(value) != len(arguments):
            raise ConfigError(f"{path} is {_shown(value)}; expected {len(arguments)} values")
        return tuple(_convert(arguments[0], v, f"{path}[{i}]") for i, v in enumerate(value))
    if origin is dict and isinstance(value, dict):
        return {str(k): _convert(arguments[1], v, f"{path}.{k}") for k, v in value.items()}
    if hint is float and not isinstance(value, bool):
        # A YAML reader takes 8e-4 for a string: it wants a point and a sign, 8.0e-4.
        with contextlib.suppress(ValueError, TypeError):
            return float(value)
    if isinstance(hint, type) and not isinstance(hint, types.GenericAlias) and type(value) is hint:
        return value
    raise ConfigError(f"{path} is {_shown(value)}; expected {getattr(hint, '__name__', hint)}")


def _shown(value: Any) -> str:
    """The beginning of a value, for aliases let a short file hold an endless one."""
    return reprlib.repr(value)[:80]
