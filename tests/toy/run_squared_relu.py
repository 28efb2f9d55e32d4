"""Exports, compiles and runs SquaredRelu with a core that has it: run_squared_relu.py CORE M.hb."""

import importlib.util
import sys
from pathlib import Path

import numpy as np
import onnxruntime
import torch
from torch import nn

TESTS = Path(__file__).parents[1]


def use_core(path: str) -> None:
    """Let this file be the package's compiled core."""
    spec = importlib.util.spec_from_file_location("halfbyte._core", path)
    sys.modules[spec.name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(sys.modules[spec.name])


class Scores(nn.Module):
    """A graph with the operator in it."""

    def __init__(self) -> None:
        super().__init__()
        self.activation = SquaredRelu()

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        return self.activation(features - 0.5)


def main(model: Path) -> None:
    """Every runner gives the bits of the numpy reference."""
    features = Example(torch.zeros(2, 5, 80), {0: "batch", 1: "frames"})
    spec = GraphSpec(Scores(), {"features": features}, ("scores",))
    exported = finish(trace(spec))
    compile_model({"detector": exported}, {"name": "toy"}, model)
    random = np.random.default_rng(1)
    x = np.concatenate([random.standard_normal((1, 7, 80)), np.full((1, 1, 80), 1e30)], axis=1)
    x = x.astype(np.float32)
    expected = reference(x - np.float32(0.5))
    in_runtime = onnxruntime.InferenceSession(exported.SerializeToString())
    in_engine = Session(ModelFile(model), "detector")
    for found in (
        spec.run({"features": torch.from_numpy(x)})["scores"].numpy(),
        in_runtime.run(None, {"features": x})[0],
        as_array(in_engine.run({"features": x})["scores"]),
    ):
        np.testing.assert_array_equal(found, expected)


if __name__ == "__main__":
    use_core(sys.argv[1])
    sys.path[:0] = [str(TESTS), str(TESTS / "engine")]
    from onnx_graphs import as_array
    from toy.squared_relu import SquaredRelu, reference

    from halfbyte.engine import ModelFile, Session
    from halfbyte.export.compile import compile_model
    from halfbyte.export.graphs import trace
    from halfbyte.export.onnx_model import finish
    from halfbyte.families.family import Example, GraphSpec

    with np.errstate(over="ignore"):
        main(Path(sys.argv[2]))
