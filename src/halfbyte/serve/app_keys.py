"""What handlers share: the server's state, found in the application."""

import asyncio
from dataclasses import dataclass, field
from typing import Protocol
from weakref import WeakKeyDictionary

from aiohttp import web

from halfbyte.listen.settings import ModelSettings
from halfbyte.serve.metrics import Metrics
from halfbyte.serve.refusals import RefusedError
from halfbyte.serve.scheduler import Scheduler
from halfbyte.serve.session import Session, now_s
from halfbyte.serve.settings import Limits, StreamSettings

_DRAIN_POLL_S = 0.02


class Client(Protocol):
    """Who asks for a stream: an HTTP request, or what stands for one elsewhere."""

    @property
    def remote(self) -> str | None:
        """Its network address."""
        ...


@dataclass
class Server:
    """The server's state in one process.

    Attributes:
        scheduler: runs the streams.
        model_name: as clients see it.
        sockets: WebSockets that are open, and the requests that opened them.
    """

    scheduler: Scheduler
    model_name: str
    sockets: WeakKeyDictionary[web.WebSocketResponse, web.Request] = field(
        default_factory=WeakKeyDictionary
    )
    _requests: WeakKeyDictionary[Session, Client] = field(default_factory=WeakKeyDictionary)
    _is_stopping: bool = False

    @property
    def limits(self) -> Limits:
        """What is allowed."""
        return self.scheduler.limits

    @property
    def metrics(self) -> Metrics:
        """What was done."""
        return self.scheduler.metrics

    @property
    def model(self) -> ModelSettings:
        """Settings of the model."""
        return self.scheduler.recognizer.model.settings

    @property
    def is_stopping(self) -> bool:
        """Whether no further stream may begin."""
        return self._is_stopping

    def open(self, settings: StreamSettings, request: Client) -> Session:
        """Start a stream for a client; as Scheduler.open."""
        if self._is_stopping:
            raise RefusedError("shutting_down", "the server is stopping; connect again")
        most = self.limits.max_streams_per_client
        if most is not None and self._num_streams_of(request) >= most:
            raise RefusedError(
                "too_many_streams", f"a client may have {most} streams at once; end one"
            )
        session = self.scheduler.open(settings)
        self._requests[session] = request
        return session

    def _num_streams_of(self, client: Client) -> int:
        running = (self._requests.get(session) for session in self.scheduler.sessions)
        return sum(other is not None and other.remote == client.remote for other in running)

    async def drain(self) -> None:
        """Let the streams say what they have heard, then tell their clients goodbye."""
        self._is_stopping = True
        reason = RefusedError("shutting_down", "the server is stopping; connect again")
        busy = [self._requests.get(session) for session in self.scheduler.sessions]
        for session in self.scheduler.sessions:
            session.interrupt(reason)
        idle = [socket for socket, request in self.sockets.items() if request not in busy]
        await asyncio.gather(*(socket.close(code=reason.close_code) for socket in idle))
        deadline_s = now_s() + self.limits.drain_s
        while self._is_busy() and now_s() < deadline_s:
            await asyncio.sleep(_DRAIN_POLL_S)
        rest = [socket for socket in self.sockets if not socket.closed]
        await asyncio.gather(*(socket.close(code=reason.close_code) for socket in rest))

    def _is_busy(self) -> bool:
        return bool(self.scheduler.sessions) or not all(socket.closed for socket in self.sockets)


SERVER = web.AppKey("server", Server)
