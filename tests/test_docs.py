"""Documents agree with the code: environment variables, configuration keys, make verbs, links."""

import re
from pathlib import Path

import pytest
from scripts import load_script

ROOT = Path(__file__).parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("recipes/*/*.md")])
VARIABLE = re.compile(r"\bHALFBYTE_[A-Z_]+\b")
LINK = re.compile(r"\[[^\]]+\]\((?!https?:|#|mailto:)([^)#\s]+)")


def variables_in_code() -> set[str]:
    """Names with our prefix, but for options of the build and constants of the C header."""
    paths = [
        *ROOT.glob("src/**/*.py"),
        *ROOT.glob("csrc/**/*.cc"),
        *ROOT.glob("csrc/**/*.h"),
        *ROOT.glob("tests/**/*.py"),
        ROOT / "Makefile",
    ]
    return names_in(paths) - names_in([ROOT / "CMakeLists.txt", *ROOT.glob("include/*.h")])


def names_in(paths: list[Path]) -> set[str]:
    return {name for path in paths for name in VARIABLE.findall(path.read_text(encoding="utf-8"))}


def test_environment_variables_are_documented():
    page = (ROOT / "docs" / "environment.md").read_text(encoding="utf-8")
    assert set(VARIABLE.findall(page)) == variables_in_code()


def test_every_configuration_key_is_documented_with_its_default():
    tool = load_script("tools/config_defaults.py")
    assert tool.documented() == tool.defaults(), "run: make readme"


def test_make_verbs_are_documented():
    verbs = re.findall(r"^([a-z-]+):.*## ", (ROOT / "Makefile").read_text(), re.MULTILINE)
    page = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    assert [verb for verb in verbs if f"make {verb}" not in page] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.relative_to(ROOT).as_posix())
def test_links_lead_somewhere(page):
    text = page.read_text(encoding="utf-8")
    assert [link for link in LINK.findall(text) if not (page.parent / link).exists()] == []
