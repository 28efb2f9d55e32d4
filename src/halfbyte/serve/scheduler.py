"""Many streams in the engine: whose audio is due, on which thread."""

import asyncio
import logging
import threading
import time
from collections import deque
from typing import Any

from halfbyte import _core
from halfbyte.errors import HalfbyteError
from halfbyte.listen.engine_model import EngineModel
from halfbyte.listen.recognizer import Recognizer
from halfbyte.serve.metrics import STAGES, Metrics
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
        metrics: where to count.
    """

    def __init__(
        self,
        recognizer: Recognizer,
        limits: Limits,
        num_threads: int = 1,
        metrics: Metrics | None = None,
    ):
        model = recognizer.model
        self.file = model.file if isinstance(model, EngineModel) else None
        self.recognizer = recognizer
        self.limits = limits
        self.metrics = metrics or Metrics()
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
            RefusedError: there are too many, or the engine is behind.
            HalfbyteError: the model does not offer what the settings ask for.
        """
        if len(self._sessions) >= self.limits.max_streams:
            raise RefusedError(
                "too_many_streams", f"the server runs {len(self._sessions)} streams; try later"
            )
        if self.delay_s > self.limits.max_delay_s:
            raise RefusedError(
                "overloaded", f"the engine is {self.delay_s:.1f} s behind; try later"
            )
        session = Session(self.recognizer.stream(settings), settings, self.limits, self)
        self._sessions.add(session)
        self.metrics.add("halfbyte_streams_total")
        self.metrics.put("halfbyte_streams", len(self._sessions))
        return session

    @property
    def sessions(self) -> frozenset[Session]:
        """The streams that run."""
        return frozenset(self._sessions)

    @property
    def num_queued(self) -> int:
        """Streams that wait for a thread."""
        return len(self._queue)

    @property
    def delay_s(self) -> float:
        """How long the first of them has waited."""
        with self._changed:
            return now_s() - self._queue[0].due_at_s if self._queue else 0.0

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
        with self._changed:
            if not session.is_queued:
                session.release()
        self.metrics.put("halfbyte_streams", len(self._sessions))

    def stop(self) -> None:
        """End the threads; streams that still run get no further events."""
        with self._changed:
            self._is_stopping = True
            self._changed.notify_all()
        for thread in self._threads:
            thread.join()

    def _run(self) -> None:
        while self._run_batch(self._next_batch()):
            pass

    def _run_batch(self, batch: list[Session]) -> bool:
        """Run what is queued; whether there was something. Keeps no session while it waits."""
        start_s = time.thread_time()
        results = self._step(batch)
        seconds = time.thread_time() - start_s
        if batch:
            self._loop.call_soon_threadsafe(self._deliver, results, seconds)
        for session in batch:
            with self._changed:
                session.is_queued = False
                if session.is_closed:
                    session.release()
            self.consider(session)
        return bool(batch)

    def _next_batch(self) -> list[Session]:
        with self._changed:
            while not self._queue and not self._is_stopping:
                self._changed.wait()
            if self._is_stopping:
                return []
            share = -(-len(self._queue) // len(self._threads))
            return [self._queue.popleft() for _ in range(min(MAX_BATCH, share))]

    def _step(self, batch: list[Session]) -> list[tuple[Session, Step]]:
        """Steps of all sessions of a batch that are still open."""
        works = [(session, work) for session in batch if (work := session.work())]
        found = _core.listen.run_steps([work for _, work in works])
        return [
            (session, self._step_of(session, work, one))
            for (session, work), one in zip(works, found, strict=True)
        ]

    def _step_of(self, session: Session, work: Any, found: Any) -> Step:
        try:
            return session.step(work, found)
        except HalfbyteError as error:
            return session.break_off(RefusedError("bad_audio", str(error)))
        except Exception:
            logger.exception("a stream broke off")
            return session.break_off(
                RefusedError("internal", "the server failed on this stream; its log has the reason")
            )

    def _deliver(self, results: list[tuple[Session, Step]], seconds: float) -> None:
        """Hand out what a batch has found and count it; on the event loop."""
        metrics = self.metrics
        metrics.add("halfbyte_batches_total")
        metrics.add("halfbyte_steps_total", len(results))
        for _, step in results:
            for stage, stage_s in zip(STAGES, step.stages_s, strict=False):
                metrics.add_engine_seconds(stage, stage_s)
                seconds -= stage_s
        metrics.add_engine_seconds("other", seconds)
        at_s = now_s()
        for session, step in results:
            session.deliver(step)
            metrics.add(
                "halfbyte_audio_seconds_total", session.settings.duration_s(step.taken_bytes)
            )
            for kind in step.kinds:
                metrics.observe_latency(kind, at_s - step.due_at_s)
