"""Connections: how many at once, and quietly where one cannot be accepted."""

import asyncio
import contextlib
import logging
import resource
import socket
import ssl
from collections.abc import AsyncIterator, Callable

from halfbyte.serve.settings import Limits

logger = logging.getLogger(__name__)

_RETRY_S = 1.0  # after the system has refused a connection
_POLL_S = 0.05  # while there is no room
_SPARE = 64  # descriptors for the model, for files of uploads, and the like
_BESIDE_STREAMS = 64  # connections for pages, health and metrics where few streams are allowed


def most_connections(limits: Limits) -> int:
    """Twice the streams and some, but no more than there are descriptors for."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 2 * limits.max_streams + _BESIDE_STREAMS
    return wanted if soft == resource.RLIM_INFINITY else max(1, min(wanted, soft - _SPARE))


class Door:
    """Lets connections in, at most so many at once; the others wait in the kernel's queue.

    Not by asyncio's own servers: they accept until the descriptors run out, and then log up to
    `backlog` tracebacks a second (Python 3.11, `_accept_connection`).

    Args:
        most: connections at once, over all listeners.
        handshake_s: how long a client may take for its TLS handshake.
    """

    def __init__(self, most: int, handshake_s: float):
        self._most = most
        self._handshake_s = handshake_s
        self._open: set[socket.socket] = set()
        self._greetings: set[asyncio.Task[None]] = set()

    @contextlib.asynccontextmanager
    async def opened(
        self,
        listener: socket.socket,
        protocol: Callable[[], asyncio.BaseProtocol],
        tls: ssl.SSLContext | None = None,
    ) -> AsyncIterator[None]:
        """Accept connections for as long as the context lasts; then the listener is closed."""
        listener.setblocking(False)
        accepting = asyncio.create_task(self._accept_all(listener, protocol, tls))
        try:
            yield
        finally:
            accepting.cancel()
            await asyncio.gather(accepting, return_exceptions=True)
            listener.close()

    async def _accept_all(
        self,
        listener: socket.socket,
        protocol: Callable[[], asyncio.BaseProtocol],
        tls: ssl.SSLContext | None,
    ) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await self._wait_for_room()
            try:
                connection, _ = await loop.sock_accept(listener)
            except ConnectionError:  # the client has left the queue
                continue
            except OSError as error:
                logger.warning("no connection can be accepted: %s", error.strerror)
                await asyncio.sleep(_RETRY_S)
                continue
            self._open.add(connection)
            greeting = loop.create_task(self._greet(connection, protocol, tls))
            self._greetings.add(greeting)
            greeting.add_done_callback(self._greetings.discard)

    async def _wait_for_room(self) -> None:
        while len(self._open) >= self._most:
            self._open = {one for one in self._open if one.fileno() >= 0}
            if len(self._open) >= self._most:
                logger.warning(
                    "%d connections are open, which is the limit; others wait", self._most
                )
                await asyncio.sleep(_POLL_S)

    async def _greet(
        self,
        connection: socket.socket,
        protocol: Callable[[], asyncio.BaseProtocol],
        tls: ssl.SSLContext | None,
    ) -> None:
        """Hand a connection to its protocol, behind the TLS handshake if there is one."""
        timeout_s = self._handshake_s if tls else None
        try:
            await asyncio.get_running_loop().connect_accepted_socket(
                protocol, connection, ssl=tls, ssl_handshake_timeout=timeout_s
            )
        except OSError:  # no TLS, or the client has left
            connection.close()
