"""Many streams in the engine: whose audio is due, on which thread."""

import asyncio
import logging
import threading
from collections import deque

from halfbyte.errors import HalfbyteError
from halfbyte.listen.recognizer import Recognizer
from halfbyte.serve.refusals import RefusedError
from halfbyte.serve.session import Session, Step, now_s
from halfbyte.serve.settings import Limits, StreamSettings

logger = logging.getLogger(__name__)

MAX_BATCH = 16  # streams that a thread takes at a time


class Scheduler:
    """Runs the streams of one process on engine threads.

    A stream is queued when the audio of its next chunk is complete, first come first served; a
    thread takes what is queued, at most MAX_BATCH streams at a time, and no stream is on two
    threads at once. Make it on the running event loop; `open` and `stop` belong to the loop too.

    Args:
        recognizer: the model.
        limits: what is allowed.
        num_threads: engine threads.
    """

    def __init__(self, recognizer: Recognizer, limits: Limits, num_threads: int = 1):
        self.recognizer = recognizer
        self.limits = limits
        self._loop = asyncio.get_running_loop()
        self._sessions: set[Session] = set()
        self._queue: deque[Session] = deque()
        self._changed = threading.Condition()
        self._is_stopping = False
        self._threads = [
            threading.Thread(target=self._run, name=f"engine-{i}", daemon=True)
            for i in range(num_threads)
        ]
        for thread in self._threads:
            thread.start()

    def open(self, settings: StreamSettings) -> Session:
        """Start a stream.

        Raises:
            RefusedError: there are too many.
            HalfbyteError: the model does not offer what the settings ask for.
        """
        if len(self._sessions) >= self.limits.max_streams:
            raise RefusedError(
                "too_many_streams", f"the server runs {len(self._sessions)} streams; try later"
            )
        stream = self.recognizer.stream(
            settings.chunk_ms, settings.mode, settings.endpoint, settings.sample_rate_hz
        )
        session = Session(stream, settings, self.limits, self)
        self._sessions.add(session)
        return session

    @property
    def sessions(self) -> frozenset[Session]:
        """The streams that run."""
        return frozenset(self._sessions)

    @property
    def num_queued(self) -> int:
        """Streams that wait for a thread."""
        return len(self._queue)

    def consider(self, session: Session) -> None:
        """Queue a session if it is due; for Session only."""
        with self._changed:
            if not session.is_queued and session.is_due():
                session.is_queued = True
                session.due_at_s = now_s()
                self._queue.append(session)
                self._changed.notify()

    def forget(self, session: Session) -> None:
        """A session is closed; for Session only."""
        self._sessions.discard(session)

    def stop(self) -> None:
        """End the threads; streams that still run get no further events."""
        with self._changed:
            self._is_stopping = True
            self._changed.notify_all()
        for thread in self._threads:
            thread.join()

    def _run(self) -> None:
        while batch := self._next_batch():
            results = [(session, self._step(session)) for session in batch]
            self._loop.call_soon_threadsafe(_deliver, results)
            for session in batch:
                with self._changed:
                    session.is_queued = False
                self.consider(session)

    def _next_batch(self) -> list[Session]:
        with self._changed:
            while not self._queue and not self._is_stopping:
                self._changed.wait()
            if self._is_stopping:
                return []
            return [self._queue.popleft() for _ in range(min(MAX_BATCH, len(self._queue)))]

    def _step(self, session: Session) -> Step:
        try:
            return session.step()
        except HalfbyteError as error:
            return session.break_off(RefusedError("bad_audio", str(error)))
        except Exception:
            logger.exception("a stream broke off")
            return session.break_off(RefusedError("internal", "the server failed on this stream"))


def _deliver(results: list[tuple[Session, Step]]) -> None:
    for session, step in results:
        session.deliver(step)
