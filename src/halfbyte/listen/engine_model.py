"""A .hb file run by the engine, as a stream asks for it."""

import threading
from collections.abc import Sequence
from typing import Any

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
        self._file = file
        self._sessions = threading.local()

    def initial_state(self) -> State:
        """State of a stream before its first chunk."""
        return State(self._file, "encoder")

    def encode(self, features: Any, state: State) -> tuple[Any, Any]:
        """One chunk: (T, F) in, (C, D) encoder output and (C, V) log-probabilities out."""
        session = self._session("encoder")
        session.set_input("features", features, batched=True)
        session.run(state)
        return session.output("encoder_out")[0], session.output("ctc_log_probs")[0]

    def decode(self, tokens: Sequence[Sequence[int]], memory: Any) -> Any:
        """(N, L) tokens and (T, D) memory in, (N, L, V) log-probabilities out."""
        session = self._session("decoder")
        session.set_input("tokens", tokens)
        session.set_input("memory", memory, batched=True)
        session.run()
        return session.output("log_probs")

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
            session = Session(self._file, graph)
            setattr(self._sessions, graph, session)
        return session
