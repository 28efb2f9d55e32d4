"""Driving streams: samples in pieces, and a model that notes every bit that it computes."""

from collections.abc import Iterator
from typing import Any

from halfbyte import EndpointRule, Event, Recognizer, Stream
from halfbyte.listen.acoustic_model import AcousticModel

SHORT_PAUSE = EndpointRule(trailing_silence_ms=300)


class NotingModel:
    """An acoustic model that keeps the bytes of every encoder output."""

    def __init__(self, model: AcousticModel):
        self._model = model
        self.settings = model.settings
        self.outputs: list[bytes] = []

    def encode(self, features: Any, state: Any) -> tuple[Any, Any]:
        memory, log_probs = self._model.encode(features, state)
        self.outputs += [bytes(memory), bytes(log_probs)]
        return memory, log_probs

    def __getattr__(self, name: str) -> Any:
        return getattr(self._model, name)


def pieces(samples: Any, num_samples: int) -> Iterator[Any]:
    for start in range(0, len(samples), num_samples):
        yield samples[start : start + num_samples]


def feed(stream: Stream, samples: Any, num_samples: int) -> list[Event]:
    """All events of samples given in pieces."""
    events = [e for piece in pieces(samples, num_samples) for e in stream.accept(piece)]
    return events + stream.finish()


def finals(events: list[Event]) -> list[Event]:
    return [event for event in events if event.is_final]


def words(events: list[Event]) -> str:
    return " ".join(event.text for event in finals(events) if event.text)


def noting_stream(recognizer: Recognizer, *arguments: Any) -> tuple[Stream, NotingModel]:
    """A stream and the model that notes what it computes."""
    model = NotingModel(recognizer.model)
    return Stream(model, *arguments), model
