"""The instruction set is chosen once, by the CPU or by HALFBYTE_ISA."""

import os
import subprocess
import sys

import numpy as np
import pytest

from halfbyte import _core
from halfbyte.errors import UsageError

kernels = _core.kernels


def default_isa_with(value: str) -> subprocess.CompletedProcess[str]:
    code = "from halfbyte import _core; print(_core.kernels.default_isa())"
    env = {**os.environ, "HALFBYTE_ISA": value, "PYTHONPATH": os.pathsep.join(sys.path)}
    return subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True)


def test_portable_is_always_there():
    assert kernels.isas()[0] == "portable"


def test_every_required_isa_is_there():
    required = [name for name in os.environ.get("HALFBYTE_REQUIRE_ISA", "").split(",") if name]
    assert set(required) <= set(kernels.isas())


@pytest.mark.parametrize("name", kernels.isas())
def test_the_environment_chooses(name):
    assert default_isa_with(name).stdout.strip() == name


def test_without_choice_the_best_is_taken():
    assert default_isa_with("").stdout.strip() == kernels.isas()[-1]


def test_an_isa_that_this_cpu_lacks_is_refused_in_one_line():
    missing = [name for name in kernels.known_isas() if name not in kernels.isas()]
    assert missing, "no CPU has all"
    last_line = default_isa_with(missing[0]).stderr.strip().splitlines()[-1]
    assert f"UsageError: instruction set '{missing[0]}' (HALFBYTE_ISA)" in last_line
    assert "this CPU lacks it; this CPU runs: portable" in last_line


def test_an_unknown_isa_is_refused_with_the_choices():
    run = default_isa_with("sse9")
    assert run.returncode != 0
    last_line = run.stderr.strip().splitlines()[-1]
    assert (
        "UsageError: instruction set 'sse9' (HALFBYTE_ISA): there is no such instruction set"
        in last_line
    )
    assert ", ".join(kernels.isas()) in last_line
    x = np.zeros(1, np.float32)
    with pytest.raises(UsageError, match=r"'sse9' .*there is no such instruction set"):
        _core.run("Exp", [x], isa="sse9")
