"""What a stream asks of a model, whoever runs it."""

from typing import Any, Protocol

from halfbyte.listen.settings import ModelSettings


class AcousticModel(Protocol):
    """The graphs of a model by name, with its settings.

    Buffers are C-contiguous objects of the buffer protocol. The engine's model
    (listen/engine_model.py) is the one that ships; a checkpoint and an ONNX folder are run
    through the same protocol for comparison (measure/).
    """

    settings: ModelSettings

    def initial_state(self, graph: str) -> Any:
        """State of a graph before its first run; the model's to interpret."""

    def run(self, graph: str, inputs: dict[str, Any], outputs: list[str], state: Any) -> list[Any]:
        """Run a graph once.

        Args:
            graph: its name, such as `encoder`.
            inputs: float32 or int64 buffers by name.
            outputs: names of those that are wanted.
            state: what `initial_state` gave, which moves on in place; None for a graph without.

        Returns:
            Float32 buffers of three axes, in the order of `outputs`.
        """

    def save_state(self, state: Any) -> bytes:
        """The state as bytes."""

    def restore_state(self, graph: str, saved: bytes) -> Any:
        """The state that was saved."""
