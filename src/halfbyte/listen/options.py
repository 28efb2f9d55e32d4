"""What a caller may choose for a stream."""

from dataclasses import dataclass, field
from operator import index
from typing import Any

from halfbyte import _core
from halfbyte.errors import UsageError
from halfbyte.listen.grammar import Grammar, grammar_for_core

FULL_CONTEXT_MS = 0


@dataclass(frozen=True)
class EndpointRule:
    """A segment ends after `trailing_silence_ms` without a word once words were heard, and after
    `max_segment_ms` in any case; None turns the first rule off, and leaves the second to the
    model, whose limit holds anyway.

    Chunks are long: sound may have set in again at the end of the one that ends a segment. That
    sound, and up to 300 ms of the quiet before it (half of `trailing_silence_ms` if that is less),
    are then the next segment's, so that its first word is heard from its beginning.
    """

    trailing_silence_ms: int | None = 800
    max_segment_ms: int | None = None


@dataclass(frozen=True)
class StreamOptions:
    """Options of one stream. Values are checked when the stream starts (csrc/listen/settings.cc).

    Attributes:
        chunk_ms: duration of a chunk, one that the model was trained for; None for the model's own
            choice, 0 for full context.
        mode: how final results are decoded, one of the model's `settings.modes`; None for its
            own choice.
        endpoint: when a segment ends.
        sample_rate_hz: of the samples that will be given.
        num_best: results have the likeliest text and up to so many minus one others.
        min_score: the least score of detections, 0 to 1; None for the model's thresholds.
        grammar: what may be said in a segment, or its text; None for anything.
    """

    chunk_ms: int | None = None
    mode: str | None = None
    endpoint: EndpointRule = field(default_factory=EndpointRule)
    sample_rate_hz: int = 16000
    num_best: int = 1
    min_score: float | None = None
    grammar: Grammar | str | None = None

    def core(self) -> Any:
        """The same for the C++ core.

        Raises:
            UsageError: a number is none, or too large for 64 bits; the grammar is no text.
        """
        return _core.listen.StreamOptions(
            _whole("chunk_ms", self.chunk_ms),
            self.mode or "",
            _whole("trailing_silence_ms", self.endpoint.trailing_silence_ms),
            _whole("max_segment_ms", self.endpoint.max_segment_ms),
            _whole("sample_rate_hz", self.sample_rate_hz, is_optional=False),
            _whole("num_best", self.num_best, is_optional=False),
            _score(self.min_score),
            grammar_for_core(self.grammar),
        )


def _score(value: Any) -> float | None:
    if value is None:
        return None
    if not isinstance(value, int | float) or isinstance(value, bool) or not 0 <= value <= 1:
        raise UsageError(f"min_score is {value!r}; expected a score, 0 to 1")
    return float(value)


def _whole(name: str, value: Any, is_optional: bool = True) -> Any:
    if value is None and is_optional:
        return None
    try:
        number = index(value)  # takes numpy's integers, too
    except TypeError:
        number = None
    if number is None or isinstance(value, bool) or not -(2**63) <= number < 2**63:
        raise UsageError(f"{name} is {value!r}; expected a whole number")
    return number
