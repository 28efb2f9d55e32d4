"""The kernel benchmark runs, small, against every runtime: it must not rot."""

import warnings

from halfbyte import _core
from halfbyte.measure.kernel_bench import bench_kernels


def test_figures_of_one_small_layer():
    said: list[str] = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the other runtimes
        line = bench_kernels([(128, 32)], [1, 3], _core.kernels.default_isa(), 3, True, said.append)
    assert len(said) == 3
    names = set(line["rows"][0]["us"])
    assert {"onnxruntime int8", "torch int8"} <= names
    assert sum(name.startswith("linear_w") for name in names) == 8
    assert all(figure["median"] >= 0 for figure in line["rows"][1]["us"].values())
