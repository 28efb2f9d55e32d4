"""YAML to dataclasses by cattrs, where each mistake becomes one line that helps."""

import difflib
import re
import reprlib
from collections.abc import Callable
from dataclasses import fields, is_dataclass
from functools import partial
from pathlib import Path
from types import UnionType
from typing import Any, TypeVar, get_args, get_origin

import cattrs
import yaml
from cattrs.cols import is_mapping, is_mutable_sequence, list_structure_factory
from cattrs.gen import (
    make_dict_structure_fn,
    make_hetero_tuple_structure_fn,
    mapping_structure_factory,
)

from halfbyte.errors import ConfigError

Config = TypeVar("Config")
Hook = Callable[[Any, Any], Any]


class _Loader(yaml.SafeLoader):
    """Takes 8e-4 for a number, as YAML 1.2 does; YAML 1.1 wants a point and a sign, 8.0e-4."""


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"^[-+]?(?:\d+\.?\d*|\.\d+)[eE][-+]?\d+$"),
    list("-+.0123456789"),
)


def read_tree(path: Path) -> dict[str, Any]:
    """The keys and values of a YAML file.

    Raises:
        ConfigError: it cannot be read, or holds something else.
    """
    try:
        tree = yaml.load(path.read_text(encoding="utf-8"), _Loader) or {}
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"cannot read configuration {path}: {error}") from error
    except (yaml.YAMLError, RecursionError) as error:
        raise ConfigError(f"{path} is not YAML: {' '.join(str(error).split())}") from error
    if not isinstance(tree, dict):
        raise ConfigError(f"{path} holds a {type(tree).__name__}; expected keys and values")
    return tree


def override(tree: dict[str, Any], word: str) -> None:
    """Set a key of the tree by `a.b.c=value`, whose value is YAML.

    Raises:
        ConfigError: it is not of this form, or the key lies below a value.
    """
    path, equals, text = word.partition("=")
    if not equals:
        raise ConfigError(f"override {word!r} has no value; expected key=value")
    *parents, key = path.split(".")
    for parent in parents:
        tree = tree.setdefault(parent, {})
        if not isinstance(tree, dict):
            raise ConfigError(f"override {word!r}: {parent!r} is a value, not a section")
    try:
        tree[key] = yaml.load(text, _Loader)
    except yaml.YAMLError as error:
        raise ConfigError(f"override {word!r}: the value is not YAML") from error


def build_config(kind: type[Config], tree: Any) -> Config:
    """A dataclass from keys and values, nested ones too.

    Raises:
        ConfigError: a key is unknown, missing or of the wrong type.
    """
    try:
        return _CONVERTER.structure(tree, kind)
    except (cattrs.BaseValidationError, _WrongValueError) as error:
        raise ConfigError(_mistake(error, "")) from error


class _WrongValueError(Exception):
    """A value of another type than its key has."""

    def __init__(self, value: Any, expected: str, key: str = ""):
        # The beginning of a value, for aliases let a short file hold an endless one.
        super().__init__(f"{key}is {reprlib.repr(value)[:80]}; expected {expected}")


def _of_type(kind: type) -> Hook:
    def structure(value: Any, _: Any) -> Any:
        if type(value) is kind:
            return value
        if kind is float and type(value) is int:
            return float(value)
        raise _WrongValueError(value, kind.__name__)

    return structure


def _tuple_hook(kind: Any, converter: cattrs.Converter) -> Hook:
    inner = kind.__args__
    if inner[-1] is Ellipsis:
        items = list_structure_factory(list[inner[0]], converter)  # type: ignore[valid-type]
        return lambda value, _: tuple(items(value, list))
    structure = make_hetero_tuple_structure_fn(kind, converter)

    def check(value: Any, _: Any) -> Any:
        if len(value) != len(inner):
            raise _WrongValueError(value, f"{len(inner)} values")
        return structure(value, kind)

    return check


def _is_choice(kind: Any) -> bool:
    return get_origin(kind) is UnionType and all(map(is_dataclass, get_args(kind)))


def _choice_hook(kind: Any, converter: cattrs.Converter) -> Hook:
    """One of several sections, told apart by their key `kind`; the first where there is none."""
    named = {
        field.default: k for k in get_args(kind) for field in fields(k) if field.name == "kind"
    }

    def choose(value: Any, _: Any) -> Any:
        chosen = value.get("kind", next(iter(named)))
        if chosen not in named:
            raise _WrongValueError(chosen, " or ".join(map(str, named)), "kind ")
        return converter.structure(value, named[chosen])

    return choose


_SHAPES: list[tuple[Callable[[Any], bool], Callable[..., Hook], type[Any], str]] = [
    (lambda k: is_dataclass(get_origin(k) or k), make_dict_structure_fn, dict, "a section"),
    (_is_choice, _choice_hook, dict, "a section"),
    (is_mutable_sequence, list_structure_factory, list, "list"),
    (is_mapping, mapping_structure_factory, dict, "dict"),
    (lambda k: get_origin(k) is tuple, _tuple_hook, list, "list"),
]


def _make_converter() -> cattrs.Converter:
    converter = cattrs.Converter(forbid_extra_keys=True)
    for kind in (int, float, str, bool):
        converter.register_structure_hook(kind, _of_type(kind))
    for is_shape, make, wanted, expected in _SHAPES:
        hook = partial(_checked, make, wanted, expected)
        converter.register_structure_hook_factory(is_shape, hook)
    return converter


def _checked(
    make: Callable[..., Hook], wanted: type[Any], expected: str, kind: Any, converter: Any
) -> Hook:
    """cattrs' hook, for values of a type alone: it would take any that can be gone through."""
    structure = make(kind, converter)

    def check(value: Any, _: Any) -> Any:
        if not isinstance(value, wanted):
            raise _WrongValueError(value, expected)
        return structure(value, kind)

    return check


_CONVERTER = _make_converter()


def _mistake(error: BaseException, path: str) -> str:
    """The first mistake with its path: an unknown key, else the first wrong or missing value."""
    if not isinstance(error, cattrs.ClassValidationError | cattrs.IterableValidationError):
        return f"{path} {error}"
    located, others = error.group_exceptions()
    for other in others:
        if isinstance(other, cattrs.ForbiddenExtraKeysError):
            key = min(map(str, other.extra_fields))
            known = [field.name for field in fields(other.cl)]
            nearest = difflib.get_close_matches(key, known, n=1, cutoff=0.0)
            return f"unknown configuration key {_below(path, key)!r}; did you mean {nearest[0]!r}?"
    if not located:
        return str(others[0])  # what the class itself refuses
    inner, note = located[0]
    place = _below(path, note.name if hasattr(note, "name") else note.index)
    return f"{place} is missing" if isinstance(inner, KeyError) else _mistake(inner, place)


def _below(path: str, key: str | int) -> str:
    if isinstance(key, int):
        return f"{path}[{key}]"
    return f"{path}.{key}" if path else key
