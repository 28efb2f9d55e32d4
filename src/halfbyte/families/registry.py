"""Families by name: a package of this room, or `package.module` for one from elsewhere."""

import importlib
import pkgutil
from typing import Any

import halfbyte.families
from halfbyte.errors import ConfigError
from halfbyte.families.family import Family

_ROOM = "halfbyte.families"


def known_families() -> list[str]:
    """Names of the families of this version."""
    return [m.name for m in pkgutil.iter_modules(halfbyte.families.__path__) if m.ispkg]


def find_family(name: str) -> Family[Any, Any]:
    """The family of a name.

    Raises:
        ConfigError: there is none.
    """
    known = known_families()
    if name not in known and "." not in name:
        raise ConfigError(
            f"family is {name!r}; expected one of {', '.join(known)}, or package.module of your own"
        )
    path = name if "." in name else f"{_ROOM}.{name}"
    try:
        module = importlib.import_module(path)
    except ModuleNotFoundError as error:
        if not f"{path}.".startswith(f"{error.name}."):
            raise
        raise ConfigError(f"family is {name!r}, and there is no module {error.name}") from error
    family = getattr(module, "FAMILY", None)
    if not isinstance(family, Family):
        raise ConfigError(f"family is {name!r}, and that module has no Family named FAMILY")
    return family


def family_to_benchmark() -> Family[Any, Any]:
    """The first family of this version that has a model of production size."""
    found = (find_family(name) for name in known_families())
    return next(family for family in found if family.production)
