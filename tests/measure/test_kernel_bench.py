"""The kernel benchmark runs, small, against every runtime there is: it must not rot."""

import importlib.util

from halfbyte import _core
from halfbyte.measure.kernel_bench import bench_kernels
from halfbyte.measure.peers import layer

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


def test_a_runtime_that_is_missing_is_named_with_its_reason(monkeypatch):
    monkeypatch.setattr(layer, "RUNTIMES", ("of_nobody",))
    peers, absent = layer.open_peers(32, 16)
    assert not peers
    assert absent["of_nobody"].startswith("ModuleNotFoundError: No module named")
