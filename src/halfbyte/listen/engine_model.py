"""A .hb file run by the engine, as a stream asks for it."""

import threading
from typing import Any

from halfbyte import _core
from halfbyte.engine import ModelFile, Session, State
from halfbyte.listen.settings import read_settings


class EngineModel:
    """An acoustic model in a .hb file; threads share the weights and have sessions of their own.

    Args:
        file: an open model file.

    Raises:
        ModelFileError: the metadata is not that of a U2 model.
    """

    def __init__(self, file: ModelFile):
        self.settings = read_settings(file.metadata)
        self.file = file
        self._sessions = threading.local()

    def initial_state(self) -> State:
        """State of a stream before its first chunk."""
        return State(self.file, "encoder")

    def encode(self, features: Any, state: State) -> tuple[Any, Any]:
        """One chunk: (T, F) in, (C, D) encoder output and (C, V) log-probabilities out."""
        outputs = self._session("encoder").run({"features": _batch_of_one(features)}, state)
        encoded, log_probs = outputs["encoder_out"], outputs["ctc_log_probs"]
        return _only_row(encoded.view()), _only_row(log_probs.view())

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


def _batch_of_one(matrix: Any) -> Any:
    """(T, F) as (1, T, F)."""
    view: Any = memoryview(matrix)
    return view.cast("B").cast("f", [1, *view.shape])


def _only_row(view: Any) -> Any:
    """(1, C, D) as (C, D)."""
    return view.cast("B").cast("f", list(view.shape[1:]))
