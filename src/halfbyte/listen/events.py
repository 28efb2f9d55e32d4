"""What a stream says."""

from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field
from typing import Any, ClassVar


@dataclass(frozen=True)
class Word:
    """A word with its place in the stream.

    It lasts from an encoder step before the mean step of its first token with text, for a word is
    told from others only once it is under way, to the last step of its last token.
    """

    text: str
    start_s: float  # from the first sample of the stream
    end_s: float
    confidence: float  # mean posterior of its tokens on their frames, 0..1


@dataclass(frozen=True)
class ScoredText:
    """One of the texts that a pass found."""

    text: str
    score: float  # of the pass: a logarithm, larger is likelier


@dataclass(frozen=True)
class Slot:
    """Words that a rule of the grammar stands for."""

    name: str  # of the rule
    text: str


@dataclass(frozen=True)
class Text:
    """Words while they are spoken: a partial result of a segment, which may still change, or the
    final one.
    """

    text: str
    is_final: bool
    start_s: float  # of the segment, from the first sample of the stream
    end_s: float  # of what has been heard
    words: list[Word] = field(default_factory=list)  # of a final result
    hypotheses: list[ScoredText] = field(default_factory=list)  # the n best, likeliest first
    slots: list[Slot] = field(default_factory=list)  # of a final result, outer rules first

    @property
    def alternatives(self) -> list[str]:
        """The other texts of a final result, likeliest first."""
        return [one.text for one in self.hypotheses[1:]] if self.is_final else []


@dataclass(frozen=True)
class Detection:
    """Something that the model listens for was heard."""

    is_final: ClassVar[bool] = False  # only texts are; so any event may be asked

    label: str
    time_s: float  # from the first sample of the stream
    score: float


@dataclass(frozen=True)
class SpeakerActivity:
    """A speaker has begun or stopped to speak."""

    is_final: ClassVar[bool] = False

    speaker: str
    is_active: bool
    time_s: float  # from the first sample of the stream
    score: float


@dataclass(frozen=True)
class Endpoint:
    """A segment has ended; its final text, if it has one, follows."""

    is_final: ClassVar[bool] = False

    reason: str  # `silence` after words, `length` of the segment, or `finish` by the caller
    end_s: float  # where, from the first sample of the stream


Event = Text | Detection | SpeakerActivity | Endpoint


_KINDS: dict[type[Event], str] = {
    Text: "text",
    Detection: "detection",
    SpeakerActivity: "speaker_activity",
    Endpoint: "endpoint",
}


def kind_of(event: Event) -> str:
    """The name of an event's kind, as JSON has it."""
    return _KINDS[type(event)]


def record_of(event: Event) -> dict[str, Any]:
    """An event for JSON: its type, and what it holds; slots where there are any."""
    record = {"type": kind_of(event), **asdict(event)}
    if not record.get("slots"):
        record.pop("slots", None)
    return record


def finals(events: Iterable[Event]) -> list[Text]:
    """The settled texts among events."""
    return [event for event in events if isinstance(event, Text) and event.is_final]


def event_of(event: Any) -> Event:
    """An event of the core."""
    return _READERS[type(event).__name__](event)


def _text_of(event: Any) -> Text:
    words = [
        Word(word.text, word.start_ms / 1000, word.end_ms / 1000, round(word.confidence, 4))
        for word in event.words
    ]
    hypotheses = [ScoredText(one.text, round(one.score, 4)) for one in event.hypotheses]
    times = event.start_ms / 1000, event.end_ms / 1000
    slots = [Slot(slot.name, slot.text) for slot in event.slots]
    return Text(event.text, event.is_final, *times, words, hypotheses, slots)


def _activity_of(event: Any) -> SpeakerActivity:
    return SpeakerActivity(
        event.speaker, event.is_active, event.time_ms / 1000, round(event.score, 4)
    )


_READERS: dict[str, Callable[[Any], Event]] = {
    "Text": _text_of,
    "Detection": lambda event: Detection(event.label, event.time_ms / 1000, round(event.score, 6)),
    "SpeakerActivity": _activity_of,
    "Endpoint": lambda event: Endpoint(event.reason, event.time_ms / 1000),
}
