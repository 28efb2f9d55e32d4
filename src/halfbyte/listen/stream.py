"""A stream: samples in, words out, segment by segment. The C++ core does it (csrc/listen)."""

from typing import Any

from halfbyte import _core
from halfbyte.errors import UsageError
from halfbyte.listen.acoustic_model import AcousticModel
from halfbyte.listen.endpoint import EndpointRule
from halfbyte.listen.engine_model import EngineModel
from halfbyte.listen.events import Event, event_of
from halfbyte.listen.settings import FULL_CONTEXT_MS, MODES
from halfbyte.listen.snapshot import pack_snapshot, unpack_snapshot

_NUMBERS = ("frames_done", "num_kept_frames", "is_finished")  # of the core's saved state


class Stream:
    """Recognises one stream of audio; use `Recognizer.stream` to make one.

    Chunks of encoder steps run as soon as their frames are there, whatever the sizes in
    which samples arrive: the result does not depend on them. Each chunk may change the
    partial text; a segment's end, by silence or length, settles it. At full context the
    chunks serve for partial results and endpoints, and the segment is encoded once more as
    a whole for its final result. Digital silence between segments is passed over: a segment
    begins with the first chunk that holds a sound.

    One thread uses a stream at a time; the interpreter is free for others meanwhile.

    Args:
        model: what computes.
        chunk_ms: duration of a chunk, one that the model was trained for; None for the
            model's own choice, 0 for full context.
        mode: of the final result: rescoring, prefix_beam, greedy or attention.
        endpoint: when a segment ends.
        sample_rate_hz: of the samples that will be given.
        num_best: final results are the likeliest and up to so many minus one alternatives.

    Attributes:
        core: the stream of the C++ core, for `halfbyte.serve`.

    Raises:
        UsageError: a chunk length or mode that the model does not offer.
    """

    def __init__(
        self,
        model: AcousticModel,
        chunk_ms: int | None = None,
        mode: str = "rescoring",
        endpoint: EndpointRule | None = None,
        sample_rate_hz: int = 16000,
        num_best: int = 1,
    ):
        if mode not in MODES:
            raise UsageError(f"unknown decoding mode {mode!r}; expected one of {', '.join(MODES)}")
        rule = endpoint or EndpointRule()
        self._settings = model.settings
        self._mode = mode
        self._is_full_context = chunk_ms == FULL_CONTEXT_MS
        self._sample_rate_hz = _whole("sample_rate_hz", sample_rate_hz)
        self.core = _core.listen.Stream(
            model.core if isinstance(model, EngineModel) else _core.listen.PythonModel(model),
            chunk_ms if chunk_ms is None else _whole("chunk_ms", chunk_ms),
            mode,
            rule.trailing_silence_ms,
            rule.max_segment_ms,
            sample_rate_hz,
            _whole("num_best", num_best, least=1),
        )

    def accept(self, samples: Any) -> list[Event]:
        """Take in samples and return what they change.

        Args:
            samples: (S,) float32 in [-1, 1), any S; an object of the buffer protocol.

        Returns:
            A partial event where the text of the segment changed, a final event where a
            segment ended.

        Raises:
            UsageError: the stream is finished or at work in another thread, or samples are
                not such an object.
            AudioError: NaN or infinite samples; nothing of them is taken in.
        """
        try:
            return [event_of(event) for event in self.core.accept(samples)]
        except TypeError as error:
            raise UsageError(
                f"samples are of type {type(samples).__name__}; expected a contiguous buffer of "
                "float32 with one axis, such as array.array('f') or a numpy array"
            ) from error

    def finish(self) -> list[Event]:
        """No more samples follow; returns the last events, the final one included."""
        return [event_of(event) for event in self.core.finish()]

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

    def _identity(self) -> dict[str, int]:
        """What must be equal between two streams if one is to go on where the other was."""
        return {
            "mode": MODES.index(self._mode),
            "is_full_context": int(self._is_full_context),
            "chunk_steps": self.core.chunk_steps,
            "sample_rate_hz": self._sample_rate_hz,
            "num_tokens": len(self._settings.tokens),
        }


def _whole(name: str, value: Any, least: int | None = None) -> int:
    is_whole = isinstance(value, int) and not isinstance(value, bool)
    if not is_whole or (least is not None and value < least):
        at_least = "" if least is None else f", at least {least}"
        raise UsageError(f"{name} is {value!r}; expected a whole number{at_least}")
    return int(value)
