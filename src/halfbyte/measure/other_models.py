"""A checkpoint and an ONNX folder as acoustic models, for comparison with the engine."""

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from halfbyte.errors import ModelFileError
from halfbyte.export.onnx_model import METADATA, describe, graph_file
from halfbyte.families.family import following_states
from halfbyte.listen.settings import read_settings
from halfbyte.train.checkpoint import family_of, load_checkpoint

Floats = NDArray[np.float32]
State = dict[str, Floats]


def _save(state: State) -> bytes:
    file = io.BytesIO()
    np.savez(file, allow_pickle=False, **state)
    return file.getvalue()


def _restore(saved: bytes) -> State:
    return dict(np.load(io.BytesIO(saved)))


class CheckpointModel:
    """The training graph itself, run in torch.

    Args:
        folder: a checkpoint folder.
    """

    def __init__(self, folder: Path):
        config, vocabulary, model = load_checkpoint(folder)
        self._graphs = family_of(config).graphs(model)
        self.settings = read_settings(describe(config, model, vocabulary, {}))

    def initial_state(self, graph: str) -> State:
        """State of a graph before its first run."""
        return {n: v.numpy() for n, v in self._graphs[graph].initial_states().items()}

    def run(
        self, graph: str, inputs: dict[str, Any], outputs: list[str], state: State | None
    ) -> list[Floats]:
        """Run a graph: named buffers in, arrays of three axes out."""
        given = {name: torch.from_numpy(np.array(value)) for name, value in inputs.items()}
        states = {name: torch.from_numpy(np.array(v)) for name, v in (state or {}).items()}
        found = self._graphs[graph].run(given, states)
        if state is not None:
            state.update({name: v.numpy() for name, v in following_states(found).items()})
        return [found[name].numpy() for name in outputs]

    save_state = staticmethod(_save)

    def restore_state(self, graph: str, saved: bytes) -> State:
        """The state that was saved."""
        return _restore(saved)


class OnnxModel:
    """An exported folder, run by ONNX Runtime on one thread.

    Args:
        folder: holds model.json and the graphs that it lists.

    Raises:
        ModelFileError: a file is missing or cannot be loaded.
    """

    def __init__(self, folder: Path):
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.log_severity_level = 3
        try:
            metadata = json.loads((folder / METADATA).read_text(encoding="utf-8"))
            self._sessions = {
                name: onnxruntime.InferenceSession(folder / graph_file(name), options)
                for name in metadata["graphs"]
            }
        except Exception as error:  # ONNX Runtime's errors have no class in common but this one
            reason = " ".join(str(error).split())
            raise ModelFileError(
                f"{folder} is neither a checkpoint nor an ONNX folder: {reason}"
            ) from error
        self.settings = read_settings(metadata)

    def initial_state(self, graph: str) -> State:
        """State of a graph before its first run: empty, the file holds the values."""
        return {}

    def run(
        self, graph: str, inputs: dict[str, Any], outputs: list[str], state: State | None
    ) -> list[Floats]:
        """Run a graph: named buffers in, arrays of three axes out."""
        session = self._sessions[graph]
        names = [output.name for output in session.get_outputs()]
        given = {name: np.array(value) for name, value in inputs.items()} | (state or {})
        found = dict(zip(names, session.run(names, given), strict=True))
        if state is not None:
            state.update(following_states(found))
        return [found[name] for name in outputs]

    save_state = staticmethod(_save)

    def restore_state(self, graph: str, saved: bytes) -> State:
        """The state that was saved."""
        return _restore(saved)
