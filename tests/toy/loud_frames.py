"""A model file of the family of frame_detector.cc: it detects loud frames."""

from pathlib import Path
from typing import Any

import numpy as np
from onnx import ModelProto, TensorProto, helper, numpy_helper

from halfbyte.export.compile import compile_model

BINS, MEMORY_FRAMES, STEP_MS = 80, 2, 10
LABELS, THRESHOLD = ["loud", "someone"], 0.5
METADATA: dict[str, Any] = {
    "name": "loud",
    "family": "toy.frame_detector",
    "features": {
        "sample_rate_hz": 16000,
        "num_mel_bins": BINS,
        "frame_length_ms": 25,
        "frame_shift_ms": STEP_MS,
        "low_hz": 20.0,
        "high_hz": 0.0,
    },
    "streaming": {
        "subsampling": 1,
        "overlap_frames": 0,
        "chunk_steps": 8,
        "chunk_choices_steps": [1, 8],
        "left_context_steps": 0,
        "max_segment_ms": 1000,
    },
    "labels": LABELS,
    "speakers": ["someone"],
    "threshold": THRESHOLD,
}


def detector() -> ModelProto:
    """Scores (1, T, 2): mean energy of a frame and the two before it, above 14 and above 16."""
    arrays = {
        "bins": np.array([2], np.int64),
        "one": np.array([1], np.int64),
        "zero": np.array([0], np.int64),
        "before": np.array([-MEMORY_FRAMES], np.int64),
        "last": np.array([-1], np.int64),
        "end": np.array([2**62], np.int64),
        "third": np.float32([1 / 3, 1 / 3]),
        "floors": np.float32([-16, -14]),
        "state.energy": np.zeros((1, MEMORY_FRAMES, 1), np.float32),
    }
    nodes = [
        helper.make_node("ReduceMean", ["features", "bins"], ["energy"], keepdims=1),
        helper.make_node("Concat", ["state.energy", "energy"], ["energies"], axis=1),
        helper.make_node("Slice", ["energies", "before", "end", "one"], ["next.energy"]),
        helper.make_node("Slice", ["energies", "zero", "before", "one"], ["second"]),
        helper.make_node("Slice", ["energies", "one", "last", "one"], ["first"]),
        helper.make_node("Add", ["second", "first"], ["earlier"]),
        helper.make_node("Add", ["earlier", "energy"], ["sum"]),
        helper.make_node("Mul", ["sum", "third"], ["mean"]),
        helper.make_node("Add", ["mean", "floors"], ["scores"]),
    ]
    memory = (1, MEMORY_FRAMES, 1)
    inputs = {"features": (1, "T", BINS), "state.energy": memory}
    outputs = {"scores": (1, "T", len(LABELS)), "next.energy": memory}
    graph = helper.make_graph(
        nodes,
        "detector",
        [helper.make_tensor_value_info(n, TensorProto.FLOAT, s) for n, s in inputs.items()],
        [helper.make_tensor_value_info(n, TensorProto.FLOAT, s) for n, s in outputs.items()],
        [numpy_helper.from_array(a, n) for n, a in arrays.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)


def write_model(path: Path, graph: str = "detector") -> Path:
    """Compiles the model; returns the path."""
    compile_model({graph: detector()}, METADATA, path)
    return path
