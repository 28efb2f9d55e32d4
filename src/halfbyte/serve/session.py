"""A client's stream in the server: audio in, events out, whatever the protocol."""

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any, Protocol

from halfbyte.listen.events import Event, Text, event_of
from halfbyte.listen.stream import Stream
from halfbyte.serve.refusals import RefusedError
from halfbyte.serve.settings import Limits, StreamSettings


@dataclass(frozen=True)
class Step:
    """What a run of the engine has found, on its way from an engine thread to the event loop.

    Attributes:
        events: in order.
        due_bytes: of audio since the stream began, with which there is more to find.
        is_last: nothing follows.
        error: why it breaks off.
        taken_bytes: of audio, by this step.
        due_at_s: when that audio was complete.
        kinds: of the latencies that it gives: first_word, partial, final.
        stages_s: processor time: features, encoder, and the rest, mostly search.
    """

    events: list[Event]
    due_bytes: int
    is_last: bool
    error: RefusedError | None = None
    taken_bytes: int = 0
    due_at_s: float = 0.0
    kinds: tuple[str, ...] = ()
    stages_s: tuple[float, float, float] = (0.0, 0.0, 0.0)


class Engine(Protocol):
    """What a session tells those who run it."""

    def consider(self, session: "Session") -> None:
        """More audio is there, or its end; the session may be due."""

    def forget(self, session: "Session") -> None:
        """The session is closed."""


class Session:
    """One stream; made by `Scheduler.open`, used from the event loop only.

    `feed` hands over audio and waits while too much is queued; `finish` says that no more comes;
    `events` gives what the stream says until it is done; `close` drops it at any time. What is
    said for other methods is between the session and its engine, the scheduler.

    Attributes:
        settings: of the stream.
    """

    def __init__(self, stream: Stream, settings: StreamSettings, limits: Limits, engine: Engine):
        self.settings = settings
        self._stream: Stream | None = stream
        self._limits = limits
        bytes_per_s = settings.sample_bytes * settings.sample_rate_hz
        self._most_bytes = limits.max_stream_s * bytes_per_s
        self._most_queued_bytes = limits.max_queued_s * bytes_per_s
        self._sample_bytes = settings.sample_bytes
        self._engine = engine
        self._audio: deque[bytes] = deque()
        self._fed_bytes = 0
        self._taken_bytes = 0
        self._due_bytes = stream.core.samples_due * settings.sample_bytes
        self._told_due_bytes = self._due_bytes  # the same, as the event loop knows it
        self._is_finishing = False
        self.is_closed = False
        self._has_words = False  # the segment; the engine thread's
        self._is_exhausted = False  # the engine thread's word for done
        self._is_done = False
        self._error: RefusedError | None = None
        self._interruption: RefusedError | None = None
        self._events: deque[Event] = deque()
        self._news = asyncio.Event()  # events came, or the stream is done
        self._progress = asyncio.Event()  # the engine took audio
        self.is_queued = False  # the scheduler's; an engine thread may run it
        self.due_at_s = 0.0  # when the audio of the next step was complete, on its clock

    async def feed(self, audio: bytes) -> None:
        """Take in samples of the session's encoding; waits while the engine is behind.

        Raises:
            RefusedError: a cut sample, too much audio, or audio after `finish`.
        """
        if self._interruption or self._is_over or not audio:
            return  # nobody asks for it any more, or there is nothing
        if self._is_finishing:
            raise RefusedError("bad_message", "the stream has ended; open another for more audio")
        if len(audio) % self._sample_bytes:
            raise RefusedError(
                "bad_audio",
                f"audio has {len(audio)} bytes; a sample of {self.settings.encoding} has "
                f"{self.settings.sample_bytes}",
            )
        self._fed_bytes += len(audio)
        if self._fed_bytes > self._most_bytes:
            raise RefusedError(
                "stream_too_long",
                f"a stream may last {self._limits.max_stream_s:g} s; start another",
            )
        self._audio.append(audio)
        if self._fed_bytes >= self._due_bytes:
            self._engine.consider(self)
        while self._fed_bytes - self._taken_bytes > self._most_queued_bytes and not self._is_over:
            self._progress.clear()
            await self._progress.wait()

    async def caught_up(self) -> None:
        """Wait until all that the audio so far gives is among the events."""
        while self._fed_bytes >= self._told_due_bytes and not self._is_over:
            self._progress.clear()
            await self._progress.wait()

    def finish(self) -> None:
        """No more audio follows; the last events come, then `events` ends."""
        self._finish()

    def interrupt(self, reason: RefusedError) -> None:
        """The server wants to end it: what was heard is still told, then `events` raises."""
        self._interruption = reason
        self._finish()

    def _finish(self) -> None:
        if not self._is_finishing:
            self._is_finishing = True
            self._engine.consider(self)

    async def events(self) -> AsyncIterator[Event]:
        """What the stream says, until its end.

        Raises:
            RefusedError: the audio could not be recognised, or events were not taken in time.
        """
        while True:
            while self._events:
                yield self._events.popleft()
            reason = self._error or (self._interruption if self._is_done else None)
            if reason:  # raised anew: one that is kept here would keep the session with its frames
                raise RefusedError(reason.code, str(reason))
            if self._is_over:
                return
            self._news.clear()
            await self._news.wait()

    def close(self) -> None:
        """Drop the stream; what it has not said is lost."""
        if not self.is_closed:
            self.is_closed = True
            self._audio.clear()
            self._wake()
            self._engine.forget(self)

    def release(self) -> None:
        """Give the engine's memory back at once; called when it is closed and no thread runs it.

        Whoever still knows the session, a frame of an exception for one, then holds little.
        """
        self._stream = None

    @property
    def fed_s(self) -> float:
        """Seconds of audio that came."""
        return self.settings.duration_s(self._fed_bytes)

    @property
    def _is_over(self) -> bool:
        return self._is_done or self.is_closed

    def _wake(self) -> None:
        self._news.set()
        self._progress.set()

    def is_due(self) -> bool:
        """Whether the engine has something to do for it."""
        if self._is_over or self._is_exhausted:
            return False
        return self._is_finishing or self._fed_bytes >= self._due_bytes

    def work(self) -> tuple[Any, bytes, bool, bool] | None:
        """What is due, for `run_steps` of the core; called by one engine thread at a time."""
        stream = self._stream
        if self.is_closed or stream is None:
            return None
        is_last = self._is_finishing  # before taking: what came before it is then in the queue
        return stream.core, self._take(), self.settings.encoding == "s16le", is_last

    def step(self, work: tuple[Any, bytes, bool, bool], found: Any) -> Step:
        """What has come of it; called by the same thread.

        Raises:
            HalfbyteError: the audio cannot be recognised.
        """
        _, audio, _, is_last = work
        found.raise_error()
        events = [event for event in map(event_of, found.events) if self._is_wanted(event)]
        self._is_exhausted = is_last
        self._due_bytes = found.samples_due * self.settings.sample_bytes
        return Step(
            events,
            self._due_bytes,
            is_last,
            None,
            len(audio),
            self.due_at_s,
            self._kinds(events),
            (found.features_s, found.encoder_s, found.search_s),
        )

    def _kinds(self, events: list[Event]) -> tuple[str, ...]:
        kinds = []
        for event in events:
            if isinstance(event, Text):
                if not self._has_words and event.text:
                    kinds.append("first_word")
                self._has_words = bool(event.text) and not event.is_final
                kinds.append("final" if event.is_final else "partial")
        return tuple(kinds)

    def break_off(self, error: RefusedError) -> Step:
        """Nothing more comes of it; called by the engine thread."""
        self._is_exhausted = True
        return Step([], self._due_bytes, True, error)

    def deliver(self, step: Step) -> None:
        """Hand out what an engine thread has found; called on the event loop."""
        if self.is_closed:
            return
        self._events.extend(step.events)
        self._told_due_bytes = step.due_bytes
        self._is_done = self._is_done or step.is_last
        self._error = self._error or step.error
        if len(self._events) > self._limits.max_unsent_events:
            self._events.clear()
            self._error = RefusedError(
                "too_slow", "the client reads events too slowly; read them as they arrive"
            )
            self._is_done = True
        self._wake()

    def _take(self) -> bytes:
        parts = []
        while self._audio:
            parts.append(self._audio.popleft())
        audio = b"".join(parts)
        self._taken_bytes += len(audio)
        return audio

    def _is_wanted(self, event: Event) -> bool:
        return self.settings.wants_partials or not isinstance(event, Text) or event.is_final


def now_s() -> float:
    """The clock of latencies."""
    return time.monotonic()
