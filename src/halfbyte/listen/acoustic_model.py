"""What a stream asks of a model, whoever runs it."""

from typing import Any, Protocol

from halfbyte.listen.settings import ModelSettings


class AcousticModel(Protocol):
    """An encoder with a CTC head, step by step, and an attention decoder.

    Buffers are C-contiguous float32 objects of the buffer protocol. The engine's model
    (listen/engine_model.py) is the one that ships; a checkpoint and an ONNX folder are run
    through the same protocol for comparison (measure/).
    """

    settings: ModelSettings

    def initial_state(self) -> Any:
        """State of a stream before its first chunk; the model's to interpret."""

    def encode(self, features: Any, state: Any) -> tuple[Any, Any]:
        """One chunk; `state` moves on in place.

        Args:
            features: (T, F), one window of frames.

        Returns:
            (C, D) encoder output and (C, V) CTC log-probabilities.
        """

    def decoder(self, memory: Any) -> Any:
        """The attention decoder over the encoder output of a segment.

        Args:
            memory: (T, D).

        Returns:
            A decoder of the core, or a function from (N, L) int64 tokens, each row beginning
            with the boundary, to (N, L, V) log-probabilities of the token that follows.
        """

    def save_state(self, state: Any) -> bytes:
        """The state as bytes."""

    def restore_state(self, saved: bytes) -> Any:
        """The state that was saved."""
