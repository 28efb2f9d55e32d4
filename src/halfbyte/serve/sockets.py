"""WebSockets of clients: opening, reading and writing within limits, closing with a reason."""

import asyncio
import contextlib
import json
from collections.abc import Awaitable, Callable
from typing import Any
from weakref import WeakKeyDictionary

from aiohttp import WSMessage, WSMsgType, web

from halfbyte.serve.app_keys import SERVER, Server
from halfbyte.serve.refusals import CLOSE_DONE, RefusedError

Converse = Callable[[web.WebSocketResponse, web.Request], Awaitable[None]]

_CLOSE_WAIT_S = 2.0  # for the client's side of the closing handshake
_SLACK = 4  # a message this many times too long is cut off by the library, without an event
_requests: WeakKeyDictionary[web.WebSocketResponse, web.Request] = WeakKeyDictionary()
_watches: WeakKeyDictionary[web.WebSocketResponse, "_IdleWatch"] = WeakKeyDictionary()


def add_socket(app: web.Application, path: str, converse: Converse) -> None:
    """Plug in a protocol: `converse` speaks with each client that comes to an address."""

    async def handle(request: web.Request) -> web.WebSocketResponse:
        socket = await open_socket(request)
        await converse(socket, request)
        return socket

    app.router.add_get(path, handle)


async def speak(
    socket: web.WebSocketResponse,
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
    await close_socket(socket, close_code, last_message)


async def open_socket(request: web.Request) -> web.WebSocketResponse:
    """Accept a client's WebSocket."""
    limits = request.app[SERVER].limits
    socket = web.WebSocketResponse(
        compress=False,
        timeout=_CLOSE_WAIT_S,
        max_msg_size=limits.max_message_bytes * _SLACK,
    )
    await socket.prepare(request)
    request.app[SERVER].sockets[socket] = request
    _requests[socket] = request
    _watches[socket] = _IdleWatch(limits.idle_s)
    return socket


class _IdleWatch:
    """A timeout for every message that costs one timer per `idle_s`, not one per message."""

    def __init__(self, idle_s: float):
        self._idle_s = idle_s
        self._loop = asyncio.get_running_loop()
        self._since_s = 0.0
        self._task: asyncio.Task[Any] | None = None  # that waits for a message
        self._timer: asyncio.TimerHandle | None = None
        self._is_expired = False

    async def receive(self, socket: web.WebSocketResponse) -> WSMessage:
        """The next message, whatever it is."""
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
            message = f"nothing came for {self._idle_s:g} s"
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


async def receive(socket: web.WebSocketResponse, server: Server) -> WSMessage | None:
    """The next text or binary message; None when the client is gone.

    Raises:
        RefusedError: the message is too long, or none came in time.
    """
    limits = server.limits
    watch = _watches[socket]
    message = await watch.receive(socket)
    if message.type not in (WSMsgType.TEXT, WSMsgType.BINARY):
        return None
    if len(message.data) > limits.max_message_bytes:
        raise RefusedError(
            "message_too_large",
            f"a message of {len(message.data)} bytes came; at most {limits.max_message_bytes} "
            "are taken, send shorter ones",
        )
    return message


async def send(socket: web.WebSocketResponse, server: Server, message: dict[str, Any]) -> None:
    """Send a JSON message.

    Raises:
        RefusedError: the client does not read.
        ConnectionError: the client is gone.
    """
    text = json.dumps(message, ensure_ascii=False)
    transport = _requests[socket].transport
    if transport is not None and transport.get_write_buffer_size() == 0:
        return await socket.send_str(text)  # does not wait: no timer is needed
    try:
        async with asyncio.timeout(server.limits.send_s):
            await socket.send_str(text)
    except TimeoutError:
        raise RefusedError("too_slow", "events were not taken in time; read them faster") from None


async def close_socket(
    socket: web.WebSocketResponse, code: int, last_message: dict[str, Any] | None = None
) -> None:
    """Say why, if there is a reason, and close; a client that does not read is cut off."""
    request = _requests[socket]
    _watches[socket].stop()
    if last_message:
        request.app[SERVER].metrics.add("halfbyte_refused_total")
    try:
        async with asyncio.timeout(_CLOSE_WAIT_S):
            with contextlib.suppress(ConnectionError):
                if last_message and not socket.closed:
                    await socket.send_str(json.dumps(last_message, ensure_ascii=False))
                await socket.close(code=code)
    except TimeoutError:
        if request.transport is not None:
            request.transport.abort()
