"""Which instruction sets tests run on: every one that the CPU has, and none is left out unsaid.

`report_isas` names those that this machine cannot run; one that HALFBYTE_REQUIRE_ISA names
(comma-separated) and that is missing fails tests/kernels/test_registry.py.
"""

from collections import Counter

import pytest

from halfbyte import _core

ISAS: list[str] = _core.kernels.isas()
tests_per_isa: Counter[str] = Counter()


def report_isas(terminalreporter: pytest.TerminalReporter) -> None:
    """Prints how many tests ran on each instruction set, and which sets did not run."""
    if not tests_per_isa:
        return
    counts = ", ".join(f"{name} {tests_per_isa[name]}" for name in ISAS)
    others = ", ".join(name for name in _core.kernels.known_isas() if name not in ISAS)
    terminalreporter.write_line(
        f"kernel tests per instruction set: {counts}; not run on this machine: {others}"
    )
