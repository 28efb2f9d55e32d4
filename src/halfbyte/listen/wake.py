"""A recogniser that sleeps until a keyword is heard, and again once its sentence has ended."""

from array import array
from collections.abc import Callable
from dataclasses import replace

from halfbyte.listen.events import Detection, Endpoint, Event, Text, Word
from halfbyte.listen.rejects import KeepsRejects
from halfbyte.listen.stream import Stream

KEPT_S = 2.0  # of the newest sound: a detection comes after its word, maybe in the next sentence


class WakeStream:
    """A stream of detections that turns into one of words after each, until a segment ends.

    The words are those after the place of the detection. Times are those of the whole stream.

    Args:
        spotter: a stream of a model that detects.
        recognize: makes a new stream of a model that writes text.
        sample_rate_hz: of the samples that both take.
    """

    def __init__(
        self, spotter: Stream | KeepsRejects, recognize: Callable[[], Stream], sample_rate_hz: int
    ):
        self._spotter, self._recognize, self._rate_hz = spotter, recognize, sample_rate_hz
        self._kept: array[float] = array("f")
        self._num_taken = 0
        self._words: Stream | None = None
        self._start_s = 0.0  # of the sentence

    def accept(self, samples: "array[float]") -> list[Event]:
        """Take in samples and return what they change, as a stream does."""
        self._num_taken += len(samples)
        self._kept.extend(samples)
        del self._kept[: max(0, len(self._kept) - max(len(samples), int(KEPT_S * self._rate_hz)))]
        detections = [e for e in self._spotter.accept(samples) if isinstance(e, Detection)]
        if self._words:
            return self._moved(self._words.accept(samples))
        if not detections:
            return []
        return [detections[0], *self._wake(detections[0].time_s)]

    def finish(self) -> list[Event]:
        """No more samples follow."""
        if self._words:
            return self._moved(self._words.finish())
        return [e for e in self._spotter.finish() if isinstance(e, Detection)]

    def _wake(self, time_s: float) -> list[Event]:
        num_back = min(len(self._kept), self._num_taken - int(time_s * self._rate_hz))
        self._start_s = (self._num_taken - num_back) / self._rate_hz
        self._words = self._recognize()
        return self._moved(self._words.accept(self._kept[len(self._kept) - num_back :]))

    def _moved(self, events: list[Event]) -> list[Event]:
        """Events of the sentence, up to its end, at their places in the whole stream."""
        moved: list[Event] = []
        for event in events:
            moved.append(_later(event, self._start_s))
            if isinstance(event, Endpoint):
                self._words = None
            if self._words is None and isinstance(event, Text):
                break
        return moved


def _later(event: Event, by_s: float) -> Event:
    if isinstance(event, Endpoint):
        return replace(event, end_s=event.end_s + by_s)
    if isinstance(event, Text):
        words = [Word(w.text, w.start_s + by_s, w.end_s + by_s, w.confidence) for w in event.words]
        return replace(event, start_s=event.start_s + by_s, end_s=event.end_s + by_s, words=words)
    return replace(event, time_s=event.time_s + by_s)
