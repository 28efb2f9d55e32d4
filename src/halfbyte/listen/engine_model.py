"""A .hb file run by the engine, as a stream asks for it."""

from typing import Any

from halfbyte import _core
from halfbyte.engine import ModelFile
from halfbyte.errors import ModelFileError
from halfbyte.listen.settings import read_settings

# Graph -> its inputs with type and number of axes, and its outputs; docs/model-file.md.
_GRAPHS = {
    "encoder": ({"features": ("float32", 3)}, ("encoder_out", "ctc_log_probs")),
    "decoder": ({"tokens": ("int64", 2), "memory": ("float32", 3)}, ("log_probs",)),
}


class EngineModel:
    """An acoustic model in a .hb file; threads share the weights.

    Args:
        file: an open model file.

    Attributes:
        core: the model of the C++ core.

    Raises:
        ModelFileError: the metadata is not that of a U2 model.
    """

    def __init__(self, file: ModelFile):
        try:
            self.settings = read_settings(file.metadata)
        except ModelFileError as error:
            raise ModelFileError(f"{file.path}: {error}") from None
        self.file = file
        self._check_graphs()
        self.core = _core.listen.EngineModel(file.core)

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
