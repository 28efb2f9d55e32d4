"""A .hb file run by the engine, as a stream asks for it."""

from typing import Any

from halfbyte import _core
from halfbyte.engine import ModelFile
from halfbyte.listen.settings import ModelSettings


class EngineModel:
    """An acoustic model in a .hb file; threads share the weights.

    Args:
        file: an open model file.

    Attributes:
        core: the model of the C++ core.

    Raises:
        ModelFileError: the metadata or the graphs are not those of a U2 model.
    """

    def __init__(self, file: ModelFile):
        self.file = file
        self.core = _core.listen.EngineModel(file.core)
        self.settings: ModelSettings = self.core.settings

    def initial_state(self) -> Any:
        """State of a stream before its first chunk."""
        return self.core.initial_state()

    def encode(self, features: Any, state: Any) -> tuple[Any, Any]:
        """One chunk: (T, F) in, (C, D) encoder output and (C, V) log-probabilities out."""
        memory, log_probs = self.core.encode(features, state)
        return memory, log_probs

    def decoder(self, memory: Any) -> Any:
        """The attention decoder over a memory of (T, D), for the searches of the core."""
        return self.core.decoder(memory)

    def save_state(self, state: Any) -> bytes:
        """The state as bytes."""
        saved: bytes = self.core.save_state(state)
        return saved

    def restore_state(self, saved: bytes) -> Any:
        """The state that was saved."""
        return self.core.restore_state(saved)
