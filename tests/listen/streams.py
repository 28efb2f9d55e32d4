"""Driving streams: samples in pieces, and a model that notes every bit that it computes."""

from collections.abc import Iterator
from typing import Any

from halfbyte import EndpointRule, Event, Recognizer, Stream, StreamOptions, finals
from halfbyte.listen.acoustic_model import AcousticModel

SHORT_PAUSE = EndpointRule(trailing_silence_ms=300)


class NotingModel:
    """An acoustic model that keeps the bytes of every encoder output."""

    def __init__(self, model: AcousticModel):
        self._model = model
        self.settings = model.settings
        self.outputs: list[bytes] = []
        self.widths: list[int] = []

    def run(self, graph: str, inputs: dict[str, Any], outputs: list[str], state: Any) -> list[Any]:
        found = self._model.run(graph, inputs, outputs, state)
        if graph == "encoder":
            self.outputs += [bytes(values) for values in found]
            self.widths = [memoryview(values).shape[2] for values in found]
        return found

    def __getattr__(self, name: str) -> Any:
        return getattr(self._model, name)


def pieces(samples: Any, num_samples: int) -> Iterator[Any]:
    for start in range(0, len(samples), num_samples):
        yield samples[start : start + num_samples]


def feed(stream: Stream, samples: Any, num_samples: int) -> list[Event]:
    """All events of samples given in pieces."""
    events = [e for piece in pieces(samples, num_samples) for e in stream.accept(piece)]
    return events + stream.finish()


def words(events: list[Event]) -> str:
    return " ".join(event.text for event in finals(events) if event.text)


def noting_stream(
    recognizer: Recognizer, options: StreamOptions | None = None
) -> tuple[Stream, NotingModel]:
    """A stream and the model that notes what it computes."""
    model = NotingModel(recognizer.model)
    return Stream(model, options), model
