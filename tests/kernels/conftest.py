"""Runs each kernel test on every instruction set, and says at the end which ones were covered.

An instruction set that this CPU lacks is skipped with a reason; one named in HALFBYTE_REQUIRE_ISA
(comma-separated) that is missing is a failure.
"""

from collections import Counter

import pytest
from isas import KNOWN_ISAS, require

_tests_per_isa: Counter[str] = Counter()


@pytest.fixture(params=KNOWN_ISAS)
def isa(request: pytest.FixtureRequest) -> str:
    """The name of an instruction set that this CPU runs."""
    require(request.param)
    _tests_per_isa[request.param] += 1
    return request.param


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Prints how many tests ran on each instruction set."""
    if _tests_per_isa:
        counts = ", ".join(f"{name} {_tests_per_isa[name]}" for name in KNOWN_ISAS)
        terminalreporter.write_line(f"kernel tests per instruction set: {counts}")
