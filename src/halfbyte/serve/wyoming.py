"""The Wyoming protocol of Home Assistant, over TCP.

A client asks `describe`, or sends `transcribe`, `audio-start`, `audio-chunk`s and `audio-stop` and
gets `transcript`; segments that settle before come as `transcript-chunk`s. Audio is s16le of one
channel at 8 to 48 kHz. A mistake gets an `error` event and the end of the connection.
"""

import asyncio
import contextlib
import logging
import socket
from dataclasses import dataclass
from typing import Any

from halfbyte.errors import HalfbyteError
from halfbyte.listen.events import Text
from halfbyte.listen.transcript import as_text
from halfbyte.serve.app_keys import Server
from halfbyte.serve.language import language_code
from halfbyte.serve.refusals import RefusedError
from halfbyte.serve.session import Session
from halfbyte.serve.settings import HIGHEST_RATE_HZ, LOWEST_RATE_HZ, StreamSettings
from halfbyte.serve.wyoming_events import LONGEST_LINE_BYTES, WyomingEvent, pack, read_event

logger = logging.getLogger(__name__)

_WIDTH_BYTES = 2


@dataclass(frozen=True)
class _Peer:
    """Who is at the other end, for the limits of one client."""

    remote: str


@contextlib.asynccontextmanager
async def wyoming_server(server: Server, listener: socket.socket) -> Any:
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

    tcp = await asyncio.start_server(converse, sock=listener, limit=LONGEST_LINE_BYTES)
    try:
        yield
    finally:
        tcp.close()
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
            raise RefusedError("idle", f"nothing came for {limits.idle_s:g} s") from None

    async def _take(self, event: WyomingEvent) -> None:
        if event.type == "describe":
            await self._say("info", self._info())
        elif event.type == "ping":
            await self._say("pong", {"text": event.data.get("text")})
        elif event.type == "audio-start":
            self._close()
            self._open(event.data)
        elif event.type == "audio-chunk":
            session = self._session or self._open(event.data)
            _check_format(event.data, session.settings.sample_rate_hz)
            await session.feed(event.payload)
        elif event.type == "audio-stop" and self._session and self._telling:
            self._session.finish()
            await asyncio.wait((self._telling,))
            self._close()
        # Others are left out, as the protocol asks: `transcribe` names what there is but one of.

    def _open(self, audio: dict[str, Any]) -> Session:
        rate_hz = audio.get("rate")
        if type(rate_hz) is not int or not LOWEST_RATE_HZ <= rate_hz <= HIGHEST_RATE_HZ:
            raise RefusedError(
                "bad_message", f"rate has to be {LOWEST_RATE_HZ} to {HIGHEST_RATE_HZ}"
            )
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


def _check_format(audio: dict[str, Any], rate_hz: int) -> None:
    expected = {"rate": rate_hz, "width": _WIDTH_BYTES, "channels": 1}
    for name, value in expected.items():
        if audio.get(name, value) != value:
            raise RefusedError(
                "bad_audio", f"{name} of the audio is {str(audio[name])[:20]}; expected {value}"
            )
