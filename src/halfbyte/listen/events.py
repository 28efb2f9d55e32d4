"""What a stream says: words while they are spoken, then the segment's final text."""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Word:
    """A word with its place in the stream."""

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
