"""Settings of a model file that a stream follows, and those that a caller may change."""

from dataclasses import dataclass
from typing import Any, NoReturn

from halfbyte.errors import ModelFileError

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


# Setting -> least and largest value; beyond these no model makes sense and memory would not hold.
_RANGES: dict[str, tuple[float, float]] = {
    "features.sample_rate_hz": (1000, 192_000),
    "features.num_mel_bins": (1, 512),
    "features.frame_length_ms": (1, 1000),
    "features.frame_shift_ms": (1, 1000),
    "features.low_hz": (0, 96_000),
    "features.high_hz": (-96_000, 96_000),
    "streaming.subsampling": (1, 64),
    "streaming.overlap_frames": (0, 1000),
    "streaming.chunk_steps": (1, 10_000),
    "streaming.left_context_steps": (0, 100_000),
    "streaming.max_segment_ms": (1, 3_600_000),
    "decoding.beam": (1, 1000),
    "decoding.ctc_weight": (0, 1000),
}


def read_settings(metadata: dict[str, Any]) -> ModelSettings:
    """Settings from a model file's metadata.

    Raises:
        ModelFileError: a setting is missing, of the wrong kind or out of range.
    """
    numbers = {path.partition(".")[2]: _number(metadata, path) for path in _RANGES}
    tokens = _tokens(metadata)
    return ModelSettings(
        **{name: _as_declared(name, value) for name, value in numbers.items()},
        chunk_choices_steps=_chunk_choices(metadata, numbers["chunk_steps"]),
        tokens=tokens,
        blank_id=_token_id(metadata, "blank_id", tokens),
        boundary_id=_token_id(metadata, "eos_id", tokens),
    )


def _as_declared(name: str, value: float) -> Any:
    return float(value) if name in ("low_hz", "high_hz", "ctc_weight") else value


def _fail(path: str, value: Any, expected: str) -> NoReturn:
    shown = repr(value) if len(repr(value)) < 40 else f"a long {type(value).__name__}"
    raise ModelFileError(f"the model's metadata has {path} {shown}; expected {expected}")


def _value(metadata: dict[str, Any], path: str) -> Any:
    value: Any = metadata
    for key in path.split("."):
        if not isinstance(value, dict) or key not in value:
            raise ModelFileError(f"the model's metadata lacks {path}; export the model again")
        value = value[key]
    return value


def _number(metadata: dict[str, Any], path: str) -> float:
    low, high = _RANGES[path]
    value = _value(metadata, path)
    kinds = (int, float) if path.endswith(("_hz", "_weight")) else int
    if isinstance(value, bool) or not isinstance(value, kinds) or not low <= value <= high:
        _fail(path, value, f"at least {low}, at most {high}")
    return value


def _chunk_choices(metadata: dict[str, Any], chunk_steps: float) -> tuple[int, ...]:
    path = "streaming.chunk_choices_steps"
    low, high = _RANGES["streaming.chunk_steps"]
    choices = _value(metadata, path)
    if not isinstance(choices, list) or not all(
        type(c) is int and low <= c <= high for c in choices
    ):
        _fail(path, choices, f"a list of whole numbers from {low} to {high}")
    if chunk_steps not in choices:
        _fail("streaming.chunk_steps", chunk_steps, f"one of chunk_choices_steps {choices}")
    return tuple(choices)


def _tokens(metadata: dict[str, Any]) -> list[str]:
    """Token texts; printable, for they reach terminals and logs."""
    tokens = _value(metadata, "tokens")
    if not isinstance(tokens, list):
        _fail("tokens", tokens, "a list of strings")
    for i, token in enumerate(tokens):
        if not isinstance(token, str) or not token.isprintable():
            _fail(f"token {i}", token, "a string of printable characters")
    return tokens


def _token_id(metadata: dict[str, Any], path: str, tokens: list[str]) -> int:
    value = _value(metadata, path)
    if type(value) is not int or not 0 <= value < len(tokens):
        _fail(path, value, f"one of its {len(tokens)} tokens")
    return value
