"""WebSockets of clients: opening, reading and writing within limits, closing with a reason."""

import asyncio
import contextlib
import json
from collections.abc import Awaitable, Callable
from typing import Any, Self

from aiohttp import WSMessage, WSMsgType, web

from halfbyte.serve.app_keys import SERVER
from halfbyte.serve.bounds import lift_deadline
from halfbyte.serve.json_text import is_object
from halfbyte.serve.refusals import CLOSE_DONE, RefusedError

Converse = Callable[["ClientSocket"], Awaitable[None]]

_CLOSE_WAIT_S = 2.0  # for the client's side of the closing handshake
_SLACK = 4  # a message this many times too long is cut off by the library, without an event
_TURN = 64  # messages of one client before others have a turn


def add_socket(app: web.Application, path: str, converse: Converse) -> None:
    """Plug in a protocol: `converse` speaks with each client that comes to an address."""

    async def handle(request: web.Request) -> web.WebSocketResponse:
        socket = await ClientSocket.accept(request)
        await converse(socket)
        return socket.response

    app.router.add_get(path, handle)


class _IdleWatch:
    """A timeout for every message that costs one timer per `idle_s`, not one per message."""

    def __init__(self, idle_s: float):
        self._idle_s = idle_s
        self._loop = asyncio.get_running_loop()
        self._since_s = 0.0
        self._task: asyncio.Task[Any] | None = None  # that waits for a message
        self._timer: asyncio.TimerHandle | None = None
        self._is_expired = False

    async def receive(self, socket: web.WebSocketResponse, is_new: bool) -> WSMessage:
        """The next message, whatever it is.

        Args:
            is_new: the time starts again; otherwise what came last did not count.
        """
        if is_new:
            self._since_s = self._loop.time()
        self._task = asyncio.current_task()
        if self._timer is None:
            self._timer = self._loop.call_at(self._since_s + self._idle_s, self._look)
        try:
            return await socket.receive()
        except asyncio.CancelledError:
            if not self._is_expired or self._task is None:
                raise
            self._task.uncancel()
            message = f"received nothing for {self._idle_s:g} s"
            raise RefusedError("idle", message) from None
        finally:
            self._task = None

    def stop(self) -> None:
        """Look no more."""
        if self._timer is not None:
            self._timer.cancel()

    def _look(self) -> None:
        self._timer = None
        if self._task is None:
            return  # the next message starts the timer again
        if self._loop.time() >= self._since_s + self._idle_s:
            self._is_expired = True
            self._task.cancel()
        else:
            self._timer = self._loop.call_at(self._since_s + self._idle_s, self._look)


class ClientSocket:
    """A client's WebSocket; `accept` makes one.

    Attributes:
        request: that opened it.
        response: what its handler returns.
        server: the server's state.
    """

    def __init__(self, request: web.Request, response: web.WebSocketResponse):
        self.request = request
        self.response = response
        self.server = request.app[SERVER]
        self._watch = _IdleWatch(self.server.limits.idle_s)
        self._num_received = 0
        self._has_said_something = True  # with its last message

    @classmethod
    async def accept(cls, request: web.Request) -> Self:
        """Accept a client's WebSocket."""
        server = request.app[SERVER]
        lift_deadline(request)
        response = web.WebSocketResponse(
            autoping=False,
            compress=False,
            timeout=_CLOSE_WAIT_S,
            max_msg_size=server.limits.max_message_bytes * _SLACK,
        )
        await response.prepare(request)
        server.sockets[response] = request
        return cls(request, response)

    async def speak(
        self,
        conversation: Awaitable[None],
        as_message: Callable[[RefusedError], dict[str, Any]],
    ) -> None:
        """Run a conversation to its end, then close the socket.

        Args:
            as_message: what a client is told that is turned away.
        """
        close_code, last_message = CLOSE_DONE, None
        try:
            await conversation
        except RefusedError as refusal:
            close_code, last_message = refusal.close_code, as_message(refusal)
        except ConnectionError:
            pass
        # Not under `except`: the library keeps what is raised on closing, and with it its cause.
        await self.close(close_code, last_message)

    async def receive(self) -> WSMessage | None:
        """The next text or binary message; None when the client is gone.

        A JSON object in a binary frame is text: what pipes send is all binary.

        Raises:
            RefusedError: the message is too long, or none with content came in time.
        """
        most_bytes = self.server.limits.max_message_bytes
        message = await self._next()
        if message.type not in (WSMsgType.TEXT, WSMsgType.BINARY):
            return None
        self._has_said_something = bool(message.data)
        if len(message.data) > most_bytes:
            raise RefusedError(
                "message_too_large",
                f"a message has {len(message.data)} bytes; the limit is {most_bytes}, "
                "send shorter ones",
            )
        if message.type is WSMsgType.BINARY and is_object(message.data):
            return WSMessage(WSMsgType.TEXT, message.data.decode(), None)
        return message

    async def _next(self) -> WSMessage:
        """The next message that is neither ping nor pong."""
        while True:
            self._num_received += 1
            if self._num_received % _TURN == 0:
                await asyncio.sleep(0)
            message = await self._watch.receive(self.response, self._has_said_something)
            if message.type not in (WSMsgType.PING, WSMsgType.PONG):
                return message
            self._has_said_something = False
            if message.type is WSMsgType.PING:
                await self._write(self.response.pong(message.data))

    async def send(self, message: dict[str, Any]) -> None:
        """Send a JSON message.

        Raises:
            RefusedError: the client does not read.
            ConnectionError: the client is gone.
        """
        await self._write(self.response.send_str(json.dumps(message, ensure_ascii=False)))

    async def _write(self, writing: Awaitable[None]) -> None:
        transport = self.request.transport
        if transport is not None and transport.get_write_buffer_size() == 0:
            return await writing  # does not wait: no timer is needed
        try:
            async with asyncio.timeout(self.server.limits.send_s):
                await writing
        except TimeoutError:
            raise RefusedError(
                "too_slow", "the client reads events too slowly; read them as they arrive"
            ) from None

    async def close(self, code: int, last_message: dict[str, Any] | None = None) -> None:
        """Say why, if there is a reason, and close; a client that does not read is cut off."""
        self._watch.stop()
        if last_message:
            self.server.metrics.add("halfbyte_refused_total")
        try:
            async with asyncio.timeout(_CLOSE_WAIT_S):
                with contextlib.suppress(ConnectionError):
                    if last_message and not self.response.closed:
                        await self.response.send_str(json.dumps(last_message, ensure_ascii=False))
                    await self.response.close(code=code)
        except TimeoutError:
            if self.request.transport is not None:
                self.request.transport.abort()
