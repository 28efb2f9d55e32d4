"""The kernel benchmark runs, small, against every runtime there is: it must not rot."""

import importlib.util
import json
import time

from halfbyte import _core
from halfbyte.measure import kernel_bench
from halfbyte.measure.kernel_bench import bench_kernels
from halfbyte.measure.peers import layer
from halfbyte.measure.spread import percent, ratio, shown

PACKAGES = {"litert": "ai_edge_litert", "openvino": "openvino", "torchao": "torchao"}


def test_figures_of_one_small_layer():
    said: list[str] = []
    line = bench_kernels([(128, 32)], [1, 3], _core.kernels.default_isa(), 3, True, said.append)
    names = set(line["rows"][0]["us"])
    assert {"onnxruntime int8", "torch int8"} <= names
    assert sum(name.startswith("linear_w") for name in names) == 8
    assert all(name in said[1] for name in names)
    assert all(figure["median"] >= 0 for figure in line["rows"][1]["us"].values())
    assert set(PACKAGES) - line["absent"].keys() == {
        name for name, package in PACKAGES.items() if importlib.util.find_spec(package)
    }
    assert all(any(name in text for text in said[2:]) for name in line["absent"])


def test_times_of_which_the_clock_saw_nothing_leave_dashes(monkeypatch):
    """A busy machine's clock stands still over a call: no figure, no exception."""
    monkeypatch.setattr(kernel_bench.Layer, "seconds", lambda _, x, repeat, copies: [0.0] * repeat)
    monkeypatch.setattr(time, "process_time", lambda: 1.0)
    said: list[str] = []
    line = bench_kernels([(128, 32)], [1], _core.kernels.default_isa(), 3, True, said.append)
    (row,) = line["rows"]
    assert (row["share_of_peak"], row["share_of_bandwidth"]) == (None, None)
    assert "-×" in said[1]
    json.dumps(line, allow_nan=False)


def test_shares_and_ratios():
    assert (ratio(1.0, 3.0), ratio(1.0, 3.0, 4), ratio(1.0, 0.0)) == (0.33, 0.3333, None)
    assert (shown(0.126, ".2f"), shown(None, ".2f"), percent(0.126)) == ("0.13", "-", "13")


def test_a_runtime_that_is_missing_is_named_with_its_reason(monkeypatch):
    monkeypatch.setattr(layer, "RUNTIMES", ("of_nobody",))
    peers, absent = layer.open_peers(32, 16)
    assert not peers
    assert absent["of_nobody"].startswith("ModuleNotFoundError: No module named")
