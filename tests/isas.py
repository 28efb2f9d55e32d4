"""Which instruction sets tests run on: every one that the CPU has, and none is left out unsaid."""

import os

import pytest

from halfbyte import _core

KNOWN_ISAS = ("portable", "avx2", "avx512vnni")


def require(isa: str) -> None:
    """Skips where this CPU lacks the instruction set; fails if HALFBYTE_REQUIRE_ISA names it."""
    if isa in _core.kernels.isas():
        return
    if isa in os.environ.get("HALFBYTE_REQUIRE_ISA", "").split(","):
        pytest.fail(f"HALFBYTE_REQUIRE_ISA names {isa}, which this CPU does not run")
    pytest.skip(f"this CPU does not run {isa}")
