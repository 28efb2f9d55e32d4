"""The native protocol over a WebSocket: docs/protocol.md."""

from typing import Any

from aiohttp import WSMessage, WSMsgType, web

from halfbyte.errors import HalfbyteError
from halfbyte.serve.messages import (
    FINISH,
    START,
    error_message,
    event_message,
    parse_control,
    ready_message,
    settings_of,
)
from halfbyte.serve.refusals import CLOSE_DONE, RefusedError
from halfbyte.serve.relay import run_together
from halfbyte.serve.session import Session
from halfbyte.serve.sockets import ClientSocket, add_socket


def add_routes(app: web.Application) -> None:
    """Plug the protocol in."""
    add_socket(app, "/v1/stream", converse)


async def converse(socket: ClientSocket) -> None:
    """One connection: one stream."""
    await socket.speak(_Connection(socket).run(), error_message)


class _Connection:
    """Reads the client and tells it the session's events, at the same time."""

    def __init__(self, socket: ClientSocket):
        self._socket = socket
        self._request = socket.request
        self._server = socket.server

    async def run(self) -> None:
        """Until the stream is done or the client is gone.

        Raises:
            RefusedError: what the client is to be told before it is disconnected.
        """
        message = await self._socket.receive()
        if message is None:
            return
        session = await self._start(message)
        try:
            await run_together(self._tell(session), self._read(session))
        finally:
            session.close()

    async def _start(self, message: WSMessage) -> Session:
        if message.type is not WSMsgType.TEXT:
            raise RefusedError("bad_message", 'send a "start" message before audio')
        control = parse_control(message.data)
        if control["type"] != START:
            raise RefusedError("bad_message", 'send "start" before "finish"')
        settings = settings_of(control)
        try:
            session = self._server.open(settings, self._request)
        except RefusedError:
            raise
        except HalfbyteError as error:
            raise RefusedError("bad_message", str(error)) from None
        await self._send(ready_message(settings, self._server.model, self._server.model_name))
        return session

    async def _read(self, session: Session) -> None:
        while (message := await self._socket.receive()) is not None:
            if message.type is WSMsgType.BINARY:
                await session.feed(message.data)
            elif parse_control(message.data)["type"] == FINISH:
                session.finish()
            else:
                raise RefusedError("bad_message", "the stream has started; open another connection")
        session.close()

    async def _tell(self, session: Session) -> None:
        async for event in session.events():
            await self._send(event_message(event, session.settings.num_best))
        session.close()
        await self._socket.close(CLOSE_DONE)

    async def _send(self, message: dict[str, Any]) -> None:
        await self._socket.send(message)
