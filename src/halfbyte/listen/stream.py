"""A stream: samples in, events out, segment by segment. The C++ core does it (csrc/listen)."""

from dataclasses import replace
from typing import Any

from halfbyte import _core
from halfbyte.errors import UsageError
from halfbyte.listen.acoustic_model import AcousticModel
from halfbyte.listen.engine_model import EngineModel
from halfbyte.listen.events import Event, event_of
from halfbyte.listen.grammar import Grammar, grammar_for_core
from halfbyte.listen.options import StreamOptions
from halfbyte.listen.snapshot import pack_snapshot, unpack_snapshot

_NUMBERS = ("frames_done", "num_kept_frames", "is_finished")  # of the core's saved state


class Stream:
    """Recognises one stream of audio; use `Recognizer.stream` to make one.

    Chunks of encoder steps run as soon as their frames are there, whatever the sizes in
    which samples arrive: the result does not depend on them. Each chunk may change the
    partial text; a segment's end, by silence or length, settles it. At full context the
    chunks serve for partial results and endpoints, and the segment is encoded once more as
    a whole for its final result. Digital silence before a segment is cut off: it begins with the
    first frame that holds a sound. A stream has 100 ms of quiet noise before its first sample and
    after its last; times count neither.

    One thread uses a stream at a time; the interpreter is free for others meanwhile. A stream can
    be copied and pickled where its model can.

    Args:
        model: what computes.
        options: chunk length, decoding mode, endpoints, sample rate, number of results.

    Attributes:
        core: the stream of the C++ core, for `halfbyte.serve`.

    Raises:
        UsageError: an option that makes no sense, or that the model does not offer.
        AudioError: a sample rate that cannot be converted.
    """

    def __init__(self, model: AcousticModel, options: StreamOptions | None = None):
        self._model, self._options = model, options or StreamOptions()
        self.core = _core.listen.Stream(
            model.core if isinstance(model, EngineModel) else _core.listen.PythonModel(model),
            self._options.core(),
        )

    def __reduce__(self) -> tuple[Any, ...]:
        return _restored, (self._model, self._options, self.save())

    def accept(self, samples: Any) -> list[Event]:
        """Take in samples and return what they change.

        Args:
            samples: (S,) or (S, 1), any S: float32 or float64 in [-1, 1), or int16; an object of
                the buffer protocol, such as array.array("f") or a numpy array.

        Returns:
            A partial text where that of the segment changed; an endpoint and the final text where
            a segment ended; what else the model's family has to say, such as detections.

        Raises:
            UsageError: the stream is finished or at work in another thread, or samples are
                not such an object.
            AudioError: samples that are NaN, infinite, or floats of int16 size; nothing of them
                is taken in.
        """
        try:
            return [event_of(event) for event in self.core.accept(samples)]
        except TypeError as error:
            raise UsageError(
                f"samples are of type {type(samples).__name__}; expected a buffer of float32, "
                "float64 or int16, such as array.array('f') or a numpy array"
            ) from error

    def finish(self) -> list[Event]:
        """No more samples follow; returns the last events, the final text included."""
        return [event_of(event) for event in self.core.finish()]

    def set_grammar(self, grammar: Grammar | str | None) -> None:
        """Say what may be said from the next segment on; in this one if none of it was heard yet.

        Args:
            grammar: see StreamOptions.

        Raises:
            UsageError: the grammar is wrong, or the model takes none. What may be said is then
                unchanged.
        """
        self.core.set_grammar(grammar_for_core(grammar))
        self._options = replace(self._options, grammar=grammar)

    def save(self) -> bytes:
        """The state of the stream, for `restore` on a stream of equal settings."""
        *numbers, parts = self.core.save()
        return pack_snapshot(self._identity() | dict(zip(_NUMBERS, numbers, strict=True)), parts)

    def restore(self, saved: bytes) -> None:
        """Go on where `save` was called.

        Raises:
            UsageError: not the state of a stream, or of one with other settings.
            InputError: the state of a model of other shapes. This stream is then unchanged.
        """
        numbers, parts = unpack_snapshot(saved)
        for name, own in self._identity().items():
            if numbers.get(name) != own:
                raise UsageError(
                    f"the saved stream has {name} {numbers.get(name)}, this one {own}; restore it "
                    "into a stream of equal settings"
                )
        try:
            self.core.restore(*(numbers[name] for name in _NUMBERS), parts)
        except (KeyError, TypeError) as error:
            raise UsageError(
                "the saved state of a stream is damaged: it has other numbers"
            ) from error

    def _identity(self) -> dict[str, int | str]:
        """What must be equal between two streams if one is to go on where the other was."""
        options = self.core.options
        return {
            "family": self._model.settings.family,
            "mode": options.mode,
            "is_full_context": int(options.is_full_context),
            "chunk_steps": self.core.chunk_steps,
            "sample_rate_hz": options.sample_rate_hz,
        }


def _restored(model: AcousticModel, options: StreamOptions, saved: bytes) -> Stream:
    stream = Stream(model, options)
    stream.restore(saved)
    return stream
