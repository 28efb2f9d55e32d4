"""Examples in docstrings give what they say."""

import doctest
import importlib
import pkgutil

import pytest

import halfbyte

NOT_IMPORTED = {"halfbyte.__main__"}  # importing it runs the command line
# Each needs another runtime, which only the extra `bench` installs.
PEERS = "halfbyte.measure.peers."


def modules() -> list[str]:
    """Every module of the installed package."""
    found = pkgutil.walk_packages(halfbyte.__path__, "halfbyte.")
    names = {m.name for m in found if not m.name.startswith(PEERS)}
    return sorted(names - NOT_IMPORTED)


@pytest.mark.parametrize("name", ["halfbyte", *modules()])
def test_examples(name):
    failed, _ = doctest.testmod(
        importlib.import_module(name), extraglobs={"halfbyte": halfbyte}, raise_on_error=False
    )
    assert failed == 0


def test_there_are_examples():
    finder = doctest.DocTestFinder(exclude_empty=True)
    examples = [
        example
        for name in modules()
        for test in finder.find(importlib.import_module(name))
        for example in test.examples
    ]
    assert len(examples) > 5
