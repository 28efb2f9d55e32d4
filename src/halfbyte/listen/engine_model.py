"""A .hb file run by the engine, as a stream asks for it."""

import threading
from typing import Any

from halfbyte import _core
from halfbyte.engine import ModelFile, Session, State
from halfbyte.engine.tensor import Tensor
from halfbyte.errors import ModelFileError
from halfbyte.listen.settings import read_settings

# Graph -> its inputs with type and number of axes, and its outputs; docs/model-file.md.
_GRAPHS = {
    "encoder": ({"features": ("float32", 3)}, ("encoder_out", "ctc_log_probs")),
    "decoder": ({"tokens": ("int64", 2), "memory": ("float32", 3)}, ("log_probs",)),
}


class EngineModel:
    """An acoustic model in a .hb file; threads share the weights and have sessions of their own.

    Args:
        file: an open model file.

    Raises:
        ModelFileError: the metadata is not that of a U2 model.
    """

    def __init__(self, file: ModelFile):
        try:
            self.settings = read_settings(file.metadata)
        except ModelFileError as error:
            raise ModelFileError(f"{file.path}: {error}") from None
        self.file = file
        self._sessions = threading.local()
        self._check_graphs()

    def initial_state(self) -> State:
        """State of a stream before its first chunk."""
        return State(self.file, "encoder")

    def encode(self, features: Any, state: State) -> tuple[Any, Any]:
        """One chunk: (T, F) in, (C, D) encoder output and (C, V) log-probabilities out."""
        outputs = self._session("encoder").run({"features": _batch_of_one(features)}, state)
        num_frames = len(memoryview(features)) - self.settings.overlap_frames
        num_steps = num_frames // self.settings.subsampling
        return (
            self._rows(outputs["encoder_out"], "encoder_out", num_steps),
            self._rows(outputs["ctc_log_probs"], "ctc_log_probs", num_steps),
        )

    def decoder(self, memory: memoryview) -> Any:
        """The attention decoder over a memory of (T, D), for the searches of the core."""
        return _core.decode.GraphDecoder(self._session("decoder").core, memory)

    def save_state(self, state: State) -> bytes:
        """The state as bytes."""
        return state.save()

    def restore_state(self, saved: bytes) -> State:
        """The state that was saved."""
        state = self.initial_state()
        state.restore(saved)
        return state

    def _session(self, graph: str) -> Session:
        session = getattr(self._sessions, graph, None)
        if session is None:
            session = Session(self.file, graph)
            setattr(self._sessions, graph, session)
        return session

    def _check_graphs(self) -> None:
        """Refuse a file whose graphs are not those of a recogniser."""
        for graph, (inputs, outputs) in _GRAPHS.items():
            if graph not in self.file.graph_names:
                raise ModelFileError(f"{self.file.path}: has no graph {graph!r}; compile it again")
            found = {i.name: (i.dtype, len(i.axes)) for i in self.file.inputs(graph)}
            for name, (dtype, rank) in inputs.items():
                if found.get(name) != (dtype, rank):
                    raise ModelFileError(
                        f"{self.file.path}: graph {graph!r} takes no {dtype} {name!r} of {rank} "
                        "axes, as a recogniser's does; export the model again"
                    )
            for name in outputs:
                if name not in self.file.outputs(graph):
                    raise ModelFileError(
                        f"{self.file.path}: graph {graph!r} gives no {name!r}, as a recogniser's "
                        "does; export the model again"
                    )

    def _rows(self, tensor: Tensor, name: str, num_steps: int) -> Any:
        """(1, C, D) as (C, D)."""
        is_matrix = tensor.dtype == "float32" and len(tensor.shape) == 3
        if not is_matrix or tensor.shape[:2] != (1, num_steps) or not tensor.shape[2]:
            raise ModelFileError(
                f"{self.file.path}: graph 'encoder' gives {name} as {tensor.dtype} {tensor.shape}; "
                f"its metadata promises {num_steps} steps; export the model again"
            )
        return tensor.view().cast("B").cast("f", list(tensor.shape[1:]))


def _batch_of_one(matrix: Any) -> Any:
    """(T, F) as (1, T, F)."""
    view: Any = memoryview(matrix)
    return view.cast("B").cast("f", [1, *view.shape])
