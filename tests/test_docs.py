"""Documents agree with the code: environment variables, configuration keys, make verbs, links."""

import dataclasses
import re
import typing
from pathlib import Path

import pytest

from halfbyte.train.config import TrainConfig

ROOT = Path(__file__).parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("recipes/*/*.md")])
VARIABLE = re.compile(r"\bHALFBYTE_[A-Z_]+\b")
LINK = re.compile(r"\[[^\]]+\]\((?!https?:|#|mailto:)([^)#\s]+)")


def variables_in_code() -> set[str]:
    paths = [
        *ROOT.glob("src/**/*.py"),
        *ROOT.glob("csrc/**/*.cc"),
        *ROOT.glob("csrc/**/*.h"),
        *ROOT.glob("tests/**/*.py"),
        ROOT / "Makefile",
    ]
    return {name for path in paths for name in VARIABLE.findall(path.read_text(encoding="utf-8"))}


def test_environment_variables_are_documented():
    page = (ROOT / "docs" / "environment.md").read_text(encoding="utf-8")
    assert set(VARIABLE.findall(page)) == variables_in_code()


def configuration_keys(kind: type = TrainConfig, prefix: str = "") -> dict[str, str]:
    """Every key of the configuration with its default, as `a.b.c`."""
    keys = {}
    hints = typing.get_type_hints(kind)
    for field in dataclasses.fields(kind):
        name = prefix + field.name
        if dataclasses.is_dataclass(hints[field.name]):
            keys |= configuration_keys(hints[field.name], f"{name}.")
        elif field.default is not dataclasses.MISSING:
            keys[name] = shown(field.default)
        else:
            keys[name] = shown(field.default_factory())
    return keys


def shown(value: object) -> str:
    """A default as the table writes it."""
    if isinstance(value, bool):
        return str(value).lower()
    return str(list(value)) if isinstance(value, tuple) else str(value) or "empty"


def documented_keys() -> dict[str, str]:
    """Keys and defaults in the tables of docs/training.md."""
    page = (ROOT / "docs" / "training.md").read_text(encoding="utf-8")
    tables = page.partition("## All keys")[2]
    return dict(re.findall(r"^\| `([\w.]+)` \| `([^|`]*)` \|", tables, re.MULTILINE))


def test_every_configuration_key_is_documented_with_its_default():
    assert documented_keys() == configuration_keys()


def test_make_verbs_are_documented():
    verbs = re.findall(r"^([a-z-]+):.*## ", (ROOT / "Makefile").read_text(), re.MULTILINE)
    page = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    assert [verb for verb in verbs if f"make {verb}" not in page] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.relative_to(ROOT).as_posix())
def test_links_lead_somewhere(page):
    text = page.read_text(encoding="utf-8")
    assert [link for link in LINK.findall(text) if not (page.parent / link).exists()] == []
