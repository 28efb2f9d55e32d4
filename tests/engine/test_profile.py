"""Times of nodes: only when asked for, for every node, and without influence on results."""

import numpy as np
from onnx import helper
from onnx_graphs import as_array, compiled, model_of

from halfbyte.engine import Session


def test_profile_names_the_nodes_that_ran(tmp_path):
    x = np.linspace(-1, 1, 4096, dtype=np.float32).reshape(64, 64)
    nodes = [helper.make_node("Tanh", ["x"], ["t"]), helper.make_node("MatMul", ["t", "x"], ["y"])]
    session = Session(compiled(model_of(nodes, {"x": x}, ["y"]), tmp_path), "graph")
    expected = as_array(session.run({"x": x})["y"])
    assert session.profile() == []
    session.start_profile()
    for _ in range(3):
        np.testing.assert_array_equal(as_array(session.run({"x": x})["y"]), expected)
    profile = session.profile()
    # Values that no caller names have no name in the file.
    assert [(op, name[0]) for op, name, _ in profile] == [("Tanh", "#"), ("MatMul", "y")]
    assert all(nanoseconds > 0 for *_, nanoseconds in profile)


def test_profile_starts_anew_and_counts_the_copying_of_outputs(tmp_path):
    x = np.zeros((512, 512), np.float32)
    model = model_of([helper.make_node("Identity", ["x"], ["y"])], {"x": x}, ["y"])
    session = Session(compiled(model, tmp_path), "graph")
    session.start_profile()
    session.run({"x": x})
    assert [op for op, *_ in session.profile()] == ["output"]
    session.start_profile()
    assert session.profile() == []
