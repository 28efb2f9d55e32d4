"""When a segment ends: by silence after words, or by length."""

from dataclasses import dataclass


@dataclass
class EndpointRule:
    """A segment ends after `trailing_silence_ms` without a word once words were heard,
    and after `max_segment_ms` in any case; None turns the first rule off.
    """

    trailing_silence_ms: int | None = 800
