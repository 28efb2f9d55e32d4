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
        ModelFileError: the family is not one that this version knows, or the metadata or the
            graphs are not those of a model of its family.
    """

    def __init__(self, file: ModelFile):
        self.file = file
        self.core = _core.listen.EngineModel(file.core)
        self.settings: ModelSettings = self.core.settings

    def __reduce__(self) -> tuple[type["EngineModel"], tuple[ModelFile]]:
        return EngineModel, (self.file,)

    def initial_state(self, graph: str) -> Any:
        """State of a graph before its first run."""
        return self.core.initial_state(graph)

    def run(self, graph: str, inputs: dict[str, Any], outputs: list[str], state: Any) -> list[Any]:
        """Run a graph with named buffers; float32 outputs of three axes."""
        found: list[Any] = self.core.run(graph, inputs, outputs, state)
        return found

    def save_state(self, state: Any) -> bytes:
        """The state as bytes."""
        saved: bytes = self.core.save_state(state)
        return saved

    def restore_state(self, graph: str, saved: bytes) -> Any:
        """The state that was saved."""
        return self.core.restore_state(graph, saved)
