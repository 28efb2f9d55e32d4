"""Runs each kernel test on every instruction set, and says at the end which ones were covered."""

import pytest
from isas import ISAS, report_isas, tests_per_isa


@pytest.fixture(params=ISAS)
def isa(request: pytest.FixtureRequest) -> str:
    """The name of an instruction set that this CPU runs."""
    tests_per_isa[request.param] += 1
    return str(request.param)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Prints how many tests ran on each instruction set."""
    report_isas(terminalreporter)
