"""When a segment ends: by silence after words, or by length."""

from dataclasses import dataclass


@dataclass
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
