"""Runs each kernel test on every instruction set, and says at the end which ones were covered.

An instruction set that this CPU lacks is skipped with a reason; one named in HALFBYTE_REQUIRE_ISA
(comma-separated) that is missing is a failure.
"""

import os
from collections import Counter

import pytest

from halfbyte import _core

KNOWN_ISAS = ("portable", "avx2", "avx512vnni")
_tests_per_isa: Counter[str] = Counter()


@pytest.fixture(params=KNOWN_ISAS)
def isa(request: pytest.FixtureRequest) -> str:
    """The name of an instruction set that this CPU runs."""
    name = request.param
    if name not in _core.kernels.isas():
        required = os.environ.get("HALFBYTE_REQUIRE_ISA", "").split(",")
        if name in required:
            pytest.fail(f"HALFBYTE_REQUIRE_ISA names {name}, which this CPU does not run")
        pytest.skip(f"this CPU does not run {name}")
    _tests_per_isa[name] += 1
    return name


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Prints how many tests ran on each instruction set."""
    if _tests_per_isa:
        counts = ", ".join(f"{name} {_tests_per_isa[name]}" for name in KNOWN_ISAS)
        terminalreporter.write_line(f"kernel tests per instruction set: {counts}")
