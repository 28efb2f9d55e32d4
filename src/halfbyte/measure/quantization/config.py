"""What a quantisation benchmark is: its YAML file, and the cells in it."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from halfbyte.errors import ConfigError
from halfbyte.quant.formats import format_named
from halfbyte.train.config import (
    AnyConfig,
    QuantizationConfig,
    load_config,
    plain_tree,
    train_config,
)
from halfbyte.train.config_reader import build_config, read_tree

KINDS = ("train", "post_training")
_OF_THE_MACHINE = {"data": ["root", "cache", "workers"], "loop": ["accelerator", "threads"]}
_MAY_GROW = ("methods", "maps", "comparisons")  # when there are results already, at the end


@dataclass
class Method:
    """How a cell comes to its weights."""

    kind: str = "train"  # or post_training
    start: str = ""  # METHOD/FORMAT of the same seed whose weights it starts from
    teacher: str = ""  # METHOD/FORMAT of the same seed that it learns from as well (distillation)
    observer: str = "mse"  # of post_training
    overrides: list[str] = field(default_factory=list)  # key=value of the recipe


@dataclass
class CellGroup:
    """Cells of one method."""

    method: str
    formats: list[str]  # number formats, or names of `maps`
    seeds: list[int]


@dataclass
class Comparison:
    """A claim that is tested: `of` is not worse than `against` by more than a margin."""

    of: str  # METHOD/FORMAT
    against: str
    margin: float  # of word error rates, relative


@dataclass
class EvaluationConfig:
    """How every cell is evaluated."""

    test: list[str]  # manifests, relative to the data's root
    chunk_ms: int = 640
    mode: str = "greedy"
    largest_difference: float = 0.01  # share of texts that engine and training graph may differ in


@dataclass
class BenchConfig:
    """A quantisation benchmark."""

    name: str
    recipe: str  # a training configuration, relative to this file
    cells: list[CellGroup]
    evaluation: EvaluationConfig
    methods: dict[str, Method] = field(default_factory=lambda: {"scratch": Method()})
    maps: dict[str, QuantizationConfig] = field(default_factory=dict)
    comparisons: list[Comparison] = field(default_factory=list)
    calibration: list[str] = field(default_factory=list)  # manifests for post_training


@dataclass(frozen=True)
class Cell:
    """One model of the grid."""

    method: str
    number_format: str
    seed: int

    @property
    def name(self) -> str:
        """METHOD/FORMAT/SEED."""
        return f"{self.method}/{self.number_format}/{self.seed}"


@dataclass
class Bench:
    """A benchmark that has been read, with the recipe that it trains.

    Attributes:
        path: of its YAML file.
        config: its keys.
        recipe: the training configuration of every cell before overrides.
    """

    path: Path
    config: BenchConfig
    recipe: AnyConfig

    @classmethod
    def from_fixed(cls, path: Path, tree: dict[str, Any]) -> "Bench":
        """The benchmark, without cells, of which `fixed` said so.

        Keys that were not known at the time get their defaults, so that results stay good.

        Raises:
            ConfigError: a key is not known any more.
        """
        config = build_config(BenchConfig, {**tree, "recipe": "", "cells": []})
        return cls(path, config, train_config(tree["recipe"]))

    @property
    def results(self) -> Path:
        """The file of result lines, beside the configuration."""
        return self.path.with_suffix(".jsonl")

    def cells(self) -> list[Cell]:
        """All cells, each once; what others start from comes before them."""
        wanted = [
            Cell(group.method, number_format, seed)
            for group in self.config.cells
            for number_format in group.formats
            for seed in group.seeds
        ]
        ordered: dict[Cell, None] = {}
        for cell in wanted:
            for needed in [*self.sources(cell), cell]:
                ordered.setdefault(needed)
        return list(ordered)

    def start_of(self, cell: Cell) -> Cell | None:
        """The cell whose weights this one starts from."""
        return self._same_seed(self.config.methods[cell.method].start, cell)

    def teacher_of(self, cell: Cell) -> Cell | None:
        """The cell that this one learns from."""
        return self._same_seed(self.config.methods[cell.method].teacher, cell)

    def sources(self, cell: Cell) -> list[Cell]:
        """All that must be there before a cell, in the order in which it can be made.

        Raises:
            ConfigError: a method needs itself.
        """
        return list(self._sources(cell, [cell]))

    def num_legs_before(self, cell: Cell) -> int:
        """How many cells' weights it has come through."""
        start = self.start_of(cell)
        return 0 if start is None else 1 + self.num_legs_before(start)

    def _same_seed(self, name: str, cell: Cell) -> Cell | None:
        if not name:
            return None
        method, number_format = _pair(name, self.config)
        return Cell(method, number_format, cell.seed)

    def _sources(self, cell: Cell, path: list[Cell]) -> dict[Cell, None]:
        found: dict[Cell, None] = {}
        for needed in (self.start_of(cell), self.teacher_of(cell)):
            if needed is None:
                continue
            if needed in path:
                raise ConfigError(f"methods.{cell.method} leads back to {needed.name}")
            found |= self._sources(needed, [*path, needed]) | {needed: None}
        return found

    def cell_named(self, name: str) -> Cell:
        """The cell METHOD/FORMAT/SEED.

        Raises:
            ConfigError: there is none of that name.
        """
        for cell in self.cells():
            if cell.name == name:
                return cell
        raise ConfigError(f"{self.path} has no cell {name!r}; cells are named like "
                          f"{self.cells()[0].name}")  # fmt: skip

    def fixed(self) -> dict[str, Any]:
        """What may not change once there are results: all but the list of cells."""
        tree = plain_tree(self.config)
        del tree["cells"]
        recipe = plain_tree(self.recipe)
        for section, keys in _OF_THE_MACHINE.items():
            for key in keys:
                recipe[section].pop(key, None)
        return {**tree, "recipe": recipe}


def read_bench(path: Path) -> Bench:
    """Read a benchmark and check that its names lead somewhere.

    Raises:
        ConfigError: a key, a method, a format, a kind or a comparison is wrong, with its name.
    """
    config = build_config(BenchConfig, read_tree(path))
    for name, method in config.methods.items():
        if method.kind not in KINDS:
            raise ConfigError(f"methods.{name}.kind is {method.kind!r}; expected train or "
                              "post_training")  # fmt: skip
        if method.kind == "post_training" and not method.start:
            raise ConfigError(f"methods.{name}.start is empty; name METHOD/FORMAT to start from")
        if method.kind == "post_training" and method.teacher:
            raise ConfigError(f"methods.{name}.teacher is {method.teacher!r}; nothing is trained "
                              "there")  # fmt: skip
        if method.kind == "post_training" and not config.calibration:
            raise ConfigError(f"calibration is empty; methods.{name} needs recordings")
        for source in filter(None, (method.start, method.teacher)):
            _pair(source, config)
    for group in config.cells:
        for number_format in group.formats:
            _pair(f"{group.method}/{number_format}", config)
    for comparison in config.comparisons:
        _pair(comparison.of, config)
        _pair(comparison.against, config)
    bench = Bench(path, config, load_config(path.parent / config.recipe))
    if not bench.cells():
        raise ConfigError(f"{path} has no cells; name formats and seeds")
    return bench


def first_change(old: Any, new: Any, path: str = "") -> str | None:
    """The first key in which two configurations differ, in words; None if they agree."""
    if isinstance(old, dict) and isinstance(new, dict):
        names = list(old) if path in _MAY_GROW else list(dict.fromkeys([*old, *new]))
        for name in names:
            here = f"{path}.{name}" if path else str(name)
            change = first_change(old.get(name), new.get(name), here)
            if change:
                return change
        return None
    if path in _MAY_GROW and isinstance(old, list) and isinstance(new, list):
        new = new[: len(old)]
    return None if old == new else f"{path} was {old!r} and is {new!r}"


def _pair(name: str, config: BenchConfig) -> tuple[str, str]:
    method, _, number_format = name.partition("/")
    if method not in config.methods:
        raise ConfigError(f"{name!r}: no method {method!r}; methods are "
                          f"{', '.join(config.methods)}")  # fmt: skip
    if number_format not in config.maps:
        format_named(number_format, f"the format of {name!r}")
    return method, number_format
