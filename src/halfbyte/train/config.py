"""Training configuration: dataclasses filled from YAML and `key=value` overrides."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, TypeVar

import yaml

from halfbyte.data.augment import AugmentConfig
from halfbyte.data.fbank import FeatureConfig
from halfbyte.data.tokenizer import TokenConfig
from halfbyte.errors import ConfigError
from halfbyte.families.family import Family
from halfbyte.families.registry import find_family, known_families
from halfbyte.train.config_reader import build_config, override, read_tree

ModelConfig = TypeVar("ModelConfig")


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
    weights: str = "absmax"  # or lsq, tanh
    activations: str = "absmax"  # or static: moving_average, pact, lsq, power_of_two
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
    precision: str = "auto"  # bf16-mixed where the device multiplies bfloat16, else 32-true
    accelerator: str = "auto"
    devices: int = 1
    threads: int = 0  # of torch; 0 leaves torch's choice
    checkpoint_steps: int = 200
    average_last: int = 3  # epochs whose weights are averaged into the result


@dataclass(kw_only=True)
class TrainConfig(Generic[ModelConfig]):
    """Everything a training run depends on; stored beside its weights."""

    name: str = "model"
    family: str  # a family of this version, or package.module of your own
    seed: int = 1
    data: DataConfig = field(default_factory=DataConfig)
    features: FeatureConfig = field(default_factory=FeatureConfig)
    tokens: TokenConfig = field(default_factory=TokenConfig)
    augment: AugmentConfig = field(default_factory=AugmentConfig)
    model: ModelConfig  # of the family
    quantization: QuantizationConfig = field(default_factory=QuantizationConfig)
    distillation: DistillationConfig = field(default_factory=DistillationConfig)
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    loop: LoopConfig = field(default_factory=LoopConfig)


AnyConfig = TrainConfig[Any]


def load_config(path: Path, overrides: list[str] | None = None) -> AnyConfig:
    """Read a YAML file and apply `a.b.c=value` overrides, whose values are YAML too.

    Raises:
        ConfigError: the file cannot be read, or a key is unknown or of the wrong type.
    """
    return train_config(read_tree(path), overrides or [])


def train_config(tree: dict[str, Any], overrides: Sequence[str] = ()) -> AnyConfig:
    """The configuration of keys and values; `model` is what its family makes of it.

    Raises:
        ConfigError: the family is unknown, or a key is unknown, missing or of the wrong type.
    """
    for word in overrides:
        override(tree, word)
    named = tree.get("family")
    if not isinstance(named, str):
        known = ", ".join(known_families())
        reason = f"is {named!r}" if "family" in tree else "is missing"
        raise ConfigError(f"family {reason}; expected one of {known}, or package.module")
    family = find_family(named)
    tree = {"model": {}, **tree}
    if isinstance(tree["model"], dict):
        _refuse_keys_of_others(named, family, tree["model"])
    kind = TrainConfig[family.Config]  # type: ignore[name-defined]
    return build_config(kind, tree)


def with_overrides(config: AnyConfig, overrides: Sequence[str]) -> AnyConfig:
    """The configuration with some keys set anew."""
    return train_config(plain_tree(config), overrides)


def _refuse_keys_of_others(name: str, family: Family[Any, Any], section: dict[str, Any]) -> None:
    own = _keys(family)
    for key in section:
        owners = [other for other in known_families() if key in _keys(find_family(other))]
        if owners and key not in own:
            raise ConfigError(
                f"model.{key} belongs to family {' and '.join(owners)}; "
                f"family {name} has {', '.join(own)}"
            )


def _keys(family: Family[Any, Any]) -> list[str]:
    return [field.name for field in dataclasses.fields(family.Config)]


def dump_config(config: AnyConfig) -> str:
    """The whole configuration as YAML."""
    return yaml.safe_dump(plain_tree(config), sort_keys=False)


def plain_tree(config: Any) -> dict[str, Any]:
    """A configuration as nested dictionaries and lists, as YAML and JSON hold them."""
    tree: dict[str, Any] = _plain(dataclasses.asdict(config))
    return tree


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, list | tuple) else value
