"""Kernels of instruction sets that this CPU may lack, their special instructions replaced.

AVX-VNNI's instruction runs in its AVX-512 encoding, AMX's as plain C++: emulated_kernels.cc. That
covers everything but the instructions themselves; those are covered where the CPU has them.
"""

import shutil
import subprocess
from pathlib import Path

import pytest
from isas import ISAS

ROOT = Path(__file__).resolve().parents[2]
FLAGS = [
    *("-O1", "-std=gnu++17", "-ffp-contract=off", "-fwrapv", "-w", f"-I{ROOT / 'csrc'}"),
    *(f"-mavx512{part}" for part in ("f", "bw", "vl", "dq", "vnni")),
]
VARIANTS = {
    "avxvnni": [],
    "amx": ["-DTEST_AMX", "-DHB_EMULATED_TILES", "-mamx-tile", "-mamx-int8"],
}


@pytest.mark.skipif("avx512vnni" not in ISAS, reason="the replacements need AVX-512 VNNI")
@pytest.mark.parametrize("isa", VARIANTS)
def test_emulated_kernels_equal_portable_ones(isa, tmp_path):
    compiler = shutil.which("c++")
    assert compiler, "no C++ compiler"
    sources = [ROOT / "tests/kernels/emulated_kernels.cc", ROOT / "csrc/kernels/packing.cc"]
    program = tmp_path / isa
    subprocess.run([compiler, *FLAGS, *VARIANTS[isa], *sources, "-o", program], check=True)
    run = subprocess.run([program], capture_output=True, text=True)
    assert (run.stdout, run.returncode) == ("equal\n", 0)
