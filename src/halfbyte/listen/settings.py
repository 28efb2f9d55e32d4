"""Settings of a model file that a stream follows, and those that a caller may change."""

from dataclasses import dataclass
from typing import Any

from halfbyte.errors import ModelFileError, UsageError

MODES = ("rescoring", "prefix_beam", "greedy", "attention")
FULL_CONTEXT_MS = 0


@dataclass(frozen=True)
class ModelSettings:
    """What the metadata of a U2 model file says about features, streaming and decoding."""

    sample_rate_hz: int
    num_mel_bins: int
    frame_length_ms: int
    frame_shift_ms: int
    low_hz: float
    high_hz: float
    subsampling: int  # feature frames per encoder step
    overlap_frames: int  # feature frames that neighbouring chunks share
    chunk_steps: int  # encoder steps per chunk, unless the caller chooses
    chunk_choices_steps: tuple[int, ...]
    left_context_steps: int
    max_segment_ms: int
    tokens: list[str]
    blank_id: int
    boundary_id: int
    beam: int
    ctc_weight: float

    @property
    def step_ms(self) -> int:
        """Duration of an encoder step."""
        return self.subsampling * self.frame_shift_ms

    @property
    def lookahead_ms(self) -> int:
        """Audio after the end of a chunk that the chunk needs."""
        return (self.overlap_frames - 1) * self.frame_shift_ms + self.frame_length_ms

    @property
    def max_segment_steps(self) -> int:
        return self.max_segment_ms // self.step_ms

    def chunk_steps_of(self, chunk_ms: int | None) -> int:
        """Encoder steps of a chunk of so many milliseconds; None takes the file's choice.

        Raises:
            UsageError: not a chunk length that the model was trained for.
        """
        if chunk_ms is None:
            return self.chunk_steps
        steps = chunk_ms // self.step_ms
        if steps * self.step_ms != chunk_ms or steps not in self.chunk_choices_steps:
            choices = ", ".join(str(c * self.step_ms) for c in self.chunk_choices_steps)
            raise UsageError(f"a chunk of {chunk_ms} ms is not among the model's: {choices}, or 0")
        return steps


def read_settings(metadata: dict[str, Any]) -> ModelSettings:
    """Settings from a model file's metadata.

    Raises:
        ModelFileError: a setting is missing, of the wrong kind or out of range.
    """
    settings = _parse(metadata)
    at_least_one = (
        *("sample_rate_hz", "num_mel_bins", "frame_length_ms", "frame_shift_ms", "subsampling"),
        *("chunk_steps", "max_segment_ms", "beam"),
    )
    for name in at_least_one:
        if getattr(settings, name) < 1:
            raise ModelFileError(
                f"the model's metadata has {name} {getattr(settings, name)}; expected at least 1"
            )
    if settings.chunk_steps not in settings.chunk_choices_steps:
        raise ModelFileError(
            f"the model's metadata has chunk_steps {settings.chunk_steps}; expected one of "
            f"chunk_choices_steps {list(settings.chunk_choices_steps)}"
        )
    for name in ("blank_id", "boundary_id"):
        if not 0 <= getattr(settings, name) < len(settings.tokens):
            raise ModelFileError(
                f"the model's metadata has {name} {getattr(settings, name)}; expected one of its "
                f"{len(settings.tokens)} tokens"
            )
    return settings


def _parse(metadata: dict[str, Any]) -> ModelSettings:
    try:
        features, streaming = metadata["features"], metadata["streaming"]
        decoding = metadata["decoding"]
        return ModelSettings(
            int(features["sample_rate_hz"]),
            int(features["num_mel_bins"]),
            int(features["frame_length_ms"]),
            int(features["frame_shift_ms"]),
            float(features["low_hz"]),
            float(features["high_hz"]),
            int(streaming["subsampling"]),
            int(streaming["overlap_frames"]),
            int(streaming["chunk_steps"]),
            tuple(int(c) for c in streaming["chunk_choices_steps"]),
            int(streaming["left_context_steps"]),
            int(streaming["max_segment_ms"]),
            [str(t) for t in metadata["tokens"]],
            int(metadata["blank_id"]),
            int(metadata["eos_id"]),
            int(decoding["beam"]),
            float(decoding["ctc_weight"]),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise ModelFileError(f"the model's metadata lacks or mistypes {error}") from error
