"""What the engine asks of memory: nothing per step, one copy of the weights, little beside them."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

SOURCES = Path(__file__).parent
MARGIN_BYTES = 25_000_000

OPEN = """
import array, json, sys
from halfbyte.engine import ModelFile, Session, State
file = ModelFile(sys.argv[1])
state = State(file)
session = Session(file, threads=int(sys.argv[2]))
def features(frames):
    return memoryview(array.array("f", [0.5 * (i % 23) for i in range(frames * 80)])).cast(
        "B").cast("f", [1, frames, 80])
def step(frames):
    session.core.set_input("features", features(frames))
    session.core.run(state.core)
step(71)
"""

COUNT = """
import ctypes
shim = ctypes.CDLL(None)
counts = []
step(39)
for frames in (71, 71, 39, 71):
    session.core.set_input("features", features(frames))
    shim.start_counting()
    session.core.run(state.core)
    counts.append(shim.stop_counting())
shim.start_counting()
bytes(4096)
print(json.dumps({"steps": counts, "control": shim.stop_counting()}))
"""

LOOK = """
import subprocess
for _ in range(5):
    step(71)
pages, is_here = {}, False
for line in open("/proc/self/smaps"):
    if "-" in line.split(" ")[0]:
        is_here = line.rstrip().endswith(".hb")
    elif is_here and line.endswith("kB\\n"):
        key, kilobytes = line.split()[:2]
        pages[key.rstrip(":")] = pages.get(key.rstrip(":"), 0) + 1024 * int(kilobytes)
status = dict(line.split(":", 1) for line in open("/proc/self/status"))
peak = 1024 * int(status["VmHWM"].split()[0])
print(json.dumps({"pages": pages, "peak": peak}), flush=True)
sys.stdin.read()
"""

linux = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc, preloads into glibc")


def start(script, shipped, threads=1, **environment):
    command = [sys.executable, "-c", script, str(shipped.path), str(threads)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    return subprocess.Popen(command, env={**os.environ, **environment}, **pipes)


@linux
@pytest.mark.parametrize("threads", [1, 2])
def test_a_step_allocates_nothing_after_the_first(shipped, tmp_path, threads):
    shim = tmp_path / "shim.so"
    source = SOURCES / "count_allocations.cc"
    subprocess.run(["c++", "-shared", "-fPIC", "-O1", "-o", shim, source], check=True)
    process = start(OPEN + COUNT, shipped, threads, LD_PRELOAD=str(shim))
    counted = json.loads(process.communicate()[0])
    assert counted["control"] > 0  # the shim does count
    assert counted["steps"] == [0, 0, 0, 0]


@linux
def test_weights_are_shared_pages_of_the_file_and_little_comes_on_top(shipped):
    first = start(OPEN + LOOK, shipped)
    assert first.stdout.readline()
    second = start(OPEN + LOOK, shipped)
    found = json.loads(second.stdout.readline())
    for process in (first, second):
        process.communicate()
    pages, peak = found["pages"], found["peak"]
    assert pages["Anonymous"] == pages["Private_Dirty"] == pages["Shared_Dirty"] == 0
    assert pages["Shared_Clean"] == pages["Rss"] > 0.9 * shipped.num_bytes
    assert peak < shipped.num_bytes + MARGIN_BYTES
