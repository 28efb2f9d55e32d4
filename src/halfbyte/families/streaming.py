"""What families that write text from one streaming encoder share: its graph, and its metadata."""

from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from halfbyte.blocks.encoder import Encoder, State
from halfbyte.blocks.whisper import WhisperEncoder
from halfbyte.families.family import Example, GraphSpec, Inputs

CHUNK_MS = 640
_BATCH, _FRAMES, _LEFT = "batch", "frames", "left_context"
_STEPS = 4  # of the example and of the test vector


class Streaming(Protocol):
    """A model that hears chunk by chunk; a module."""

    @property
    def encoder(self) -> Encoder | WhisperEncoder:
        """What hears features."""

    def step(self, features: Tensor, state: State) -> tuple[Tensor, Tensor, State]:
        """One chunk: encoder output (B, C, D), CTC log-probabilities (B, C, V), next state."""


class EncoderGraph(nn.Module):
    """A step whose state is a list in a fixed order: one chunk of features in, and out again."""

    def __init__(self, model: Streaming, state_names: list[str]):
        super().__init__()
        self.model = model
        self.state_names = state_names

    def forward(self, features: Tensor, state: list[Tensor]) -> tuple[Tensor, ...]:
        """features (B, T, F) float32 -> encoder output, CTC log-probabilities, next states."""
        named = dict(zip(self.state_names, state, strict=True))
        encoded, log_probs, following = self.model.step(features, named)
        return encoded, log_probs, *(following[name] for name in self.state_names)


def encoder_graph(model: Streaming) -> GraphSpec:
    """The streaming encoder with its CTC head."""
    with torch.no_grad():
        states = {n: v.contiguous() for n, v in model.encoder.initial_state(1).items()}
    subsampling = model.encoder.subsampling
    window = _STEPS * subsampling.rate + subsampling.overlap_frames
    num_bins = model.encoder.feature_norm.mean.shape[0]
    # Each a half, so that the file stores them exactly.
    random = np.random.default_rng(1).normal(12.0, 3.0, (1, window, num_bins))
    features = torch.from_numpy(random.astype(np.float16).astype(np.float32))
    return GraphSpec(
        EncoderGraph(model, list(states)),
        {"features": Example(torch.zeros(2, window, num_bins), {0: _BATCH, 1: _FRAMES})},
        ("encoder_out", "ctc_log_probs"),
        {name: Example(value, _state_axes(name, value.dim())) for name, value in states.items()},
        {"features": features},
    )


def streaming_metadata(
    model: Streaming,
    inputs: Inputs,
    left_context: int,
    chunks: tuple[int, int],
    max_segment_ms: float,
) -> dict[str, Any]:
    """The part `streaming` of the metadata.

    Args:
        left_context: steps that an encoder step sees before its chunk.
        chunks: the shortest and the longest chunk of training, in encoder steps.
        max_segment_ms: where a segment ends in any case.
    """
    subsampling, (shortest, longest) = model.encoder.subsampling, chunks
    step_ms = subsampling.rate * inputs.features.frame_shift_ms
    return {
        "subsampling": subsampling.rate,
        "overlap_frames": subsampling.overlap_frames,
        "chunk_steps": min(CHUNK_MS // step_ms, longest),
        "chunk_choices_steps": list(range(shortest, longest + 1)),
        "left_context_steps": left_context,
        "max_segment_ms": int(max_segment_ms),
    }


def _state_axes(name: str, rank: int) -> dict[int, str]:
    """Open axes of a state tensor: the batch, and where there is one the left context."""
    part = name.rpartition(".")[2]
    left_axis = {"key": rank - 2, "value": rank - 2, "valid": 1}.get(part)
    return {0: _BATCH} if left_axis is None else {0: _BATCH, left_axis: _LEFT}
