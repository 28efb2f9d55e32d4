"""The Wyoming protocol of Home Assistant, over TCP.

A client asks `describe`, or sends `transcribe`, `audio-start`, `audio-chunk`s and `audio-stop` and
gets `transcript`; segments that settle before come as `transcript-chunk`s. Audio is of 8 to 48 kHz,
1 to 4 bytes a sample, 1 to 64 channels. A mistake gets an `error` event and the end of the
connection.
"""

import asyncio
import contextlib
import logging
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

from halfbyte.errors import HalfbyteError
from halfbyte.listen.events import Text
from halfbyte.listen.transcript import as_text
from halfbyte.serve.app_keys import Server
from halfbyte.serve.door import Door
from halfbyte.serve.language import language_code
from halfbyte.serve.refusals import RefusedError
from halfbyte.serve.session import Session
from halfbyte.serve.settings import StreamSettings
from halfbyte.serve.wyoming_audio import form_of
from halfbyte.serve.wyoming_events import LONGEST_LINE_BYTES, WyomingEvent, pack, read_event

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Peer:
    """Who is at the other end, for the limits of one client."""

    remote: str


@contextlib.asynccontextmanager
async def wyoming_server(
    server: Server, listener: socket.socket, door: Door
) -> AsyncIterator[None]:
    """Serve on a listening socket for as long as the context lasts."""
    conversations: set[asyncio.Task[None]] = set()

    async def converse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task
        conversations.add(task)
        try:
            await _Conversation(server, reader, writer).run()
        except (ConnectionError, asyncio.CancelledError):
            pass
        except Exception:
            logger.exception("a Wyoming connection broke off")
        finally:
            conversations.discard(task)
            writer.close()

    def connection() -> asyncio.StreamReaderProtocol:
        return asyncio.StreamReaderProtocol(
            asyncio.StreamReader(limit=LONGEST_LINE_BYTES), converse
        )

    try:
        async with door.opened(listener, connection):
            yield
    finally:
        for task in conversations:
            task.cancel()
        await asyncio.gather(*conversations, return_exceptions=True)


class _Conversation:
    """One connection: utterances one after the other."""

    def __init__(self, server: Server, reader: asyncio.StreamReader, writer: asyncio.StreamWriter):
        self._server = server
        self._reader = reader
        self._writer = writer
        address = writer.get_extra_info("peername") or ("",)
        self._peer = _Peer(str(address[0]))
        self._session: Session | None = None
        self._telling: asyncio.Task[None] | None = None

    async def run(self) -> None:
        """Until the client is gone, or has made a mistake."""
        try:
            while (event := await self._read()) is not None:
                await self._take(event)
        except HalfbyteError as error:
            code = error.code if isinstance(error, RefusedError) else "bad_message"
            await self._say("error", {"text": str(error), "code": code})
        finally:
            self._close()

    async def _read(self) -> WyomingEvent | None:
        limits = self._server.limits
        try:
            async with asyncio.timeout(limits.idle_s):
                return await read_event(self._reader, limits.max_message_bytes)
        except TimeoutError:
            raise RefusedError("idle", f"received nothing for {limits.idle_s:g} s") from None

    async def _take(self, event: WyomingEvent) -> None:
        if event.type == "describe":
            await self._say("info", self._info())
        elif event.type == "ping":
            await self._say("pong", {"text": event.data.get("text")})
        elif event.type == "audio-start":
            self._close()
            self._open(form_of(event.data).rate)
        elif event.type == "audio-chunk":
            await self._feed(event)
        elif event.type == "audio-stop" and self._session and self._telling:
            self._session.finish()
            await asyncio.wait((self._telling,))
            self._close()
        # Others are left out, as the protocol asks: `transcribe` names what there is but one of.

    async def _feed(self, chunk: WyomingEvent) -> None:
        form = form_of(chunk.data)
        session = self._session or self._open(form.rate)
        expected_hz = session.settings.sample_rate_hz
        if form.rate != expected_hz:
            raise RefusedError(
                "bad_audio",
                f"rate is {form.rate}; it was {expected_hz} before, keep it",
            )
        await session.feed(form.to_s16(chunk.payload))

    def _open(self, rate_hz: int) -> Session:
        settings = StreamSettings(sample_rate_hz=rate_hz, wants_partials=False)
        self._session = self._server.open(settings, self._peer)
        self._telling = asyncio.create_task(self._tell(self._session))
        return self._session

    async def _tell(self, session: Session) -> None:
        """Tell what a stream says; a stream that breaks off takes the connection with it."""
        try:
            await self._tell_results(session)
        except RefusedError as refusal:
            with contextlib.suppress(ConnectionError):
                await self._say("error", {"text": str(refusal), "code": refusal.code})
            self._writer.close()
        except ConnectionError:
            pass

    async def _tell_results(self, session: Session) -> None:
        language = {"language": language_code(self._server)}
        finals: list[Text] = []
        async for event in session.events():
            if not isinstance(event, Text) or not event.text:
                continue
            if not finals:
                await self._say("transcript-start", language)
            await self._say("transcript-chunk", {"text": (" " if finals else "") + event.text})
            finals.append(event)
        await self._say("transcript", {"text": as_text(finals), **language})
        if finals:
            await self._say("transcript-stop")

    def _close(self) -> None:
        if self._telling:
            self._telling.cancel()
        if self._session:
            self._session.close()
        self._session = self._telling = None

    async def _say(self, kind: str, data: dict[str, Any] | None = None) -> None:
        self._writer.write(pack(WyomingEvent(kind, data or {})))
        try:
            async with asyncio.timeout(self._server.limits.send_s):
                await self._writer.drain()
        except TimeoutError:
            self._writer.transport.abort()
            raise ConnectionError("the client does not read") from None

    def _info(self) -> dict[str, Any]:
        """What `describe` is answered."""
        code = language_code(self._server)
        about = {
            "attribution": {"name": "halfbyte", "url": ""},
            "installed": True,
            "version": None,
        }
        model = {
            "name": self._server.model_name,
            "description": "Streaming speech recognition in half a byte per weight",
            "languages": [code] if code else [],
            **about,
        }
        program = {
            "name": "halfbyte",
            "description": "Streaming speech recognition",
            "models": [model],
            "supports_transcript_streaming": True,
            **about,
        }
        return {"asr": [program]}
