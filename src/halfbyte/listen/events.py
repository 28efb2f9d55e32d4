"""What a stream says: words while they are spoken, then the segment's final text."""

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Word:
    """A word with its place in the stream.

    It lasts from the first encoder step of its first token with text (a lone start of a word may
    come long before) to the last step of its last token.
    """

    text: str
    start_s: float  # from the first sample of the stream
    end_s: float
    confidence: float  # mean posterior of its tokens on their frames, 0..1


@dataclass(frozen=True)
class Event:
    """A partial result, which may still change, or the final one of a segment."""

    text: str
    is_final: bool
    start_s: float  # of the segment, from the first sample of the stream
    end_s: float  # of what has been heard
    words: list[Word] = field(default_factory=list)  # of a final result
    alternatives: list[str] = field(default_factory=list)  # of a final result; likeliest first


def event_of(event: Any) -> Event:
    """An event of the core."""
    words = [
        Word(word.text, word.start_ms / 1000, word.end_ms / 1000, round(word.confidence, 4))
        for word in event.words
    ]
    start_s, end_s = event.start_ms / 1000, event.end_ms / 1000
    return Event(event.text, event.is_final, start_s, end_s, words, event.alternatives)
