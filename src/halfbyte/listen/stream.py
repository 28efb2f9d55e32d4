"""A stream: samples in, words out, segment by segment."""

from dataclasses import replace
from typing import Any

from halfbyte import _core
from halfbyte.errors import UsageError
from halfbyte.listen.acoustic_model import AcousticModel
from halfbyte.listen.endpoint import EndpointRule
from halfbyte.listen.events import Event
from halfbyte.listen.segment import Segment
from halfbyte.listen.settings import FULL_CONTEXT_MS, MODES, ModelSettings
from halfbyte.listen.silence import is_silence
from halfbyte.listen.snapshot import pack_snapshot, unpack_snapshot


class Stream:
    """Recognises one stream of audio; use `Recognizer.stream` to make one.

    Chunks of encoder steps run as soon as their frames are there, whatever the sizes in
    which samples arrive: the result does not depend on them. Each chunk may change the
    partial text; a segment's end, by silence or length, settles it. At full context the
    chunks serve for partial results and endpoints, and the segment is encoded once more as
    a whole for its final result. Digital silence between segments is passed over: a segment
    begins with the first chunk that holds a sound.

    Args:
        model: what computes.
        chunk_ms: duration of a chunk, one that the model was trained for; None for the
            model's own choice, 0 for full context.
        mode: of the final result: rescoring, prefix_beam, greedy or attention.
        endpoint: when a segment ends.
        sample_rate_hz: of the samples that will be given.
        num_best: final results are the likeliest and up to so many minus one alternatives.

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
        settings = model.settings
        if isinstance(sample_rate_hz, bool) or not isinstance(sample_rate_hz, int):
            raise UsageError(f"sample_rate_hz is {sample_rate_hz!r}; expected a whole number")
        if mode not in MODES:
            raise UsageError(f"unknown decoding mode {mode!r}; expected one of {', '.join(MODES)}")
        if isinstance(num_best, bool) or not isinstance(num_best, int) or num_best < 1:
            raise UsageError(f"num_best is {num_best!r}; expected a whole number, at least 1")
        self._model = model
        self._settings = settings
        self._mode = mode
        self._num_best = num_best
        self._endpoint = endpoint or EndpointRule()
        self._is_full_context = chunk_ms == FULL_CONTEXT_MS
        self._chunk_steps = settings.chunk_steps_of(None if self._is_full_context else chunk_ms)
        self._resampler = None
        if sample_rate_hz != settings.sample_rate_hz:
            self._resampler = _core.audio.Resampler(sample_rate_hz, settings.sample_rate_hz)
        self._sample_rate_hz = sample_rate_hz
        self._fbank = _new_fbank(settings)
        self._state = model.initial_state()
        self._segment = self._new_segment()
        self._frames_done = 0  # feature frames of the segments that have ended
        self._is_finished = False

    def accept(self, samples: Any) -> list[Event]:
        """Take in samples and return what they change.

        Args:
            samples: (S,) float32 in [-1, 1), any S; an object of the buffer protocol.

        Returns:
            A partial event where the text of the segment changed, a final event where a
            segment ended.

        Raises:
            UsageError: the stream is finished, or samples are not such an object.
            AudioError: NaN or infinite samples; nothing of them is taken in.
        """
        self.take_in(samples)
        return self.run_chunks()

    def take_in(self, samples: Any) -> None:
        """The first half of `accept`: features of the samples."""
        if self._is_finished:
            raise UsageError("the stream is finished; start another with Recognizer.stream()")
        try:
            self._fbank.accept(self._resampler.accept(samples) if self._resampler else samples)
        except TypeError:
            raise UsageError(
                f"samples are of type {type(samples).__name__}; expected a contiguous buffer of "
                "float32 with one axis, such as array.array('f') or a numpy array"
            ) from None

    def finish(self) -> list[Event]:
        """No more samples follow; returns the last events, the final one included."""
        if self._is_finished:
            return []
        if self._resampler:
            self._fbank.accept(self._resampler.finish())
        self._fbank.finish()
        events = self.run_chunks()
        self._is_finished = True
        if self._fbank.num_frames_ready >= self._least_frames():
            events += self._run_chunk(self._fbank.num_frames_ready)
        if self._segment.num_steps:
            events.append(self._end_segment())
        return events

    def samples_due(self) -> int:
        """Samples, counted from the first of the stream, with which its next chunk is complete."""
        fbank = self._fbank
        length, shift = fbank.frame_length_samples, fbank.frame_shift_samples
        num_computed = max(0, (fbank.num_samples_accepted - length) // shift + 1)
        last_frame = num_computed - fbank.num_frames_ready + self._window_frames() - 1
        num_samples: int = last_frame * shift + length
        if self._resampler:
            num_samples = self._resampler.num_in_samples_for(num_samples - 1)
        return num_samples

    @property
    def max_segment_s(self) -> float:
        """Length at which a segment ends in any case."""
        return self._settings.max_segment_ms / 1000

    def save(self) -> bytes:
        """The state of the stream, for `restore` on a stream of equal settings."""
        numbers = self._identity() | {
            "frames_done": self._frames_done,
            "is_finished": int(self._is_finished),
        }
        resampler = self._resampler.save() if self._resampler else b""
        parts = [self._fbank.save(), resampler, self._model.save_state(self._state)]
        return pack_snapshot(numbers, [*parts, *self._segment.save()])

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
        segment, fbank = self._new_segment(), self._fbank.copy()
        resampler = self._resampler.copy() if self._resampler else None
        try:
            fbank_bytes, resampler_bytes, state_bytes, *segment_bytes = parts
            frames_done = int(numbers["frames_done"])
            is_finished = int(numbers["is_finished"]) == 1
            segment.restore(segment_bytes)
            if resampler_bytes and not resampler:
                raise ValueError("it has a resampler's part")
        except (KeyError, ValueError) as error:
            raise UsageError(f"the saved state of a stream is damaged: {error}") from None
        state = self._model.restore_state(state_bytes)
        fbank.restore(fbank_bytes)
        if resampler:
            resampler.restore(resampler_bytes)
        self._segment, self._fbank, self._resampler = segment, fbank, resampler
        self._state, self._frames_done, self._is_finished = state, frames_done, is_finished

    def _identity(self) -> dict[str, int]:
        """What must be equal between two streams if one is to go on where the other was."""
        return {
            "mode": MODES.index(self._mode),
            "is_full_context": int(self._is_full_context),
            "chunk_steps": self._chunk_steps,
            "sample_rate_hz": self._sample_rate_hz,
            "num_tokens": len(self._settings.tokens),
        }

    def _least_frames(self) -> int:
        """Frames that give one encoder step."""
        return self._settings.subsampling + self._settings.overlap_frames

    def _new_segment(self) -> Segment:
        return Segment(self._settings, self._mode, keeps_features=self._is_full_context)

    def _window_frames(self) -> int:
        """Frames of a whole chunk."""
        return self._settings.subsampling * self._chunk_steps + self._settings.overlap_frames

    def run_chunks(self) -> list[Event]:
        """The other half of `accept`: what the features so far change."""
        window = self._window_frames()
        events: list[Event] = []
        while self._fbank.num_frames_ready >= window:
            events += self._run_chunk(window)
        return events

    def _run_chunk(self, num_frames: int) -> list[Event]:
        features = self._fbank.peek(num_frames)
        if self._is_silence_between_segments(features):
            return self._skip(num_frames)
        before = self._segment.text()
        memory, log_probs = self._model.encode(features, self._state)
        num_steps = len(memoryview(log_probs))
        self._segment.accept(features, memory, log_probs)
        self._fbank.pop(num_steps * self._settings.subsampling)
        events = []
        if self._segment.text() != before:
            events.append(self._event(self._segment.text(), is_final=False))
        if self._is_endpoint():
            events.append(self._end_segment())
        return events

    def _is_silence_between_segments(self, features: Any) -> bool:
        return self._segment.num_steps == 0 and is_silence(features)

    def _skip(self, num_frames: int) -> list[Event]:
        """Leave out a window of digital silence: the segment begins after it."""
        num_steps = (num_frames - self._settings.overlap_frames) // self._settings.subsampling
        self._fbank.pop(num_steps * self._settings.subsampling)
        self._frames_done += num_steps * self._settings.subsampling
        return []

    def _is_endpoint(self) -> bool:
        return self._endpoint.is_endpoint(
            self._segment.num_steps,
            self._segment.last_token_step(),
            self._settings.step_ms,
            self._settings.max_segment_ms,
        )

    def _end_segment(self) -> Event:
        segment = self._segment
        if self._is_full_context:
            segment.encode_whole(self._model)
        texts, words = segment.finalize(self._model, self._start_s())
        event = replace(
            self._event(texts[0], is_final=True),
            words=words,
            alternatives=texts[1 : self._num_best],
        )
        self._frames_done += segment.num_steps * self._settings.subsampling
        self._segment = self._new_segment()
        self._state = self._model.initial_state()
        return event

    def _start_s(self) -> float:
        return self._frames_done * self._settings.frame_shift_ms / 1000

    def _event(self, text: str, is_final: bool) -> Event:
        start_s = self._start_s()
        end_s = start_s + self._segment.num_steps * self._settings.step_ms / 1000
        return Event(text, is_final, round(start_s, 3), round(end_s, 3))


def _new_fbank(settings: ModelSettings) -> Any:
    return _core.audio.Fbank(
        settings.sample_rate_hz,
        settings.num_mel_bins,
        settings.frame_length_ms,
        settings.frame_shift_ms,
        settings.low_hz,
        settings.high_hz,
    )
