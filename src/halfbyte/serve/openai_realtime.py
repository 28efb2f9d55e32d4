"""OpenAI's realtime transcription events over a WebSocket, `/v1/realtime?intent=transcription`.

Text comes while words are spoken: deltas hold what `Deltas` tells, `completed` the settled text.
With `server_vad` (the default) an item is a segment; with `turn_detection: null` it is what lies
between two commits of the client. The older `transcription_session.update` is understood too. Our
difference: the rate of `audio/pcm` may be 8000 to 48000.
"""

import asyncio
import base64
import binascii
from typing import Any

from aiohttp import WSMsgType, web

from halfbyte.serve.json_text import read_json
from halfbyte.serve.openai_items import Items, new_id
from halfbyte.serve.openai_sessions import WrongEventError, session_object, settings_of
from halfbyte.serve.openai_shapes import error_object
from halfbyte.serve.refusals import RefusedError
from halfbyte.serve.session import Session
from halfbyte.serve.sockets import ClientSocket, add_socket


def add_routes(app: web.Application) -> None:
    """Plug the protocol in."""
    add_socket(app, "/v1/realtime", converse)


async def converse(socket: ClientSocket) -> None:
    """One connection."""
    conversation = _Conversation(socket)
    try:
        await socket.speak(conversation.run(), _refusal_event)
    finally:
        conversation.close()


class _Conversation:
    """One connection: streams one after the other, each from its first audio to a commit."""

    def __init__(self, socket: ClientSocket):
        self._socket = socket
        self._request = socket.request
        self._server = socket.server
        self._id = new_id("sess")
        self._settings, self._has_turns = settings_of({}, None)
        self._items = Items(self._say)
        self._session: Session | None = None
        self._telling: asyncio.Task[None] | None = None

    async def run(self) -> None:
        await self._say({"type": "session.created", "session": self._session_object()})
        while (message := await self._socket.receive()) is not None:
            event_id = None
            try:
                event = _event(message.data if message.type is WSMsgType.TEXT else "")
                event_id = event.get("event_id")
                await self._take(event)
            except WrongEventError as error:
                await self._say(_error_event(error.code, str(error), event_id))

    def close(self) -> None:
        """Drop the stream."""
        if self._telling:
            self._telling.cancel()
        if self._session:
            self._session.close()
        self._session = self._telling = None

    async def _take(self, event: dict[str, Any]) -> None:
        kind = event["type"]
        if kind == "input_audio_buffer.append":
            await self._append(event.get("audio"))
        elif kind == "input_audio_buffer.commit":
            if not self._session or self._session.fed_s == 0:
                raise WrongEventError(
                    "input_audio_buffer_commit_empty", "the buffer holds no audio"
                )
            await self._finish()
        elif kind == "input_audio_buffer.clear":
            self.close()
            await self._say({"type": "input_audio_buffer.cleared"})
        elif kind in ("session.update", "transcription_session.update"):
            settings, has_turns = settings_of(event.get("session"), self._settings)
            await self._finish()  # what was said before the change
            self._settings, self._has_turns = settings, has_turns
            await self._say({"type": f"{kind}d", "session": self._session_object()})
        else:
            raise WrongEventError("unknown_event", f"no event {str(kind)[:60]!r} is known here")

    async def _append(self, audio: Any) -> None:
        try:
            raw = base64.b64decode(audio, validate=True)
        except (binascii.Error, TypeError, ValueError):
            raise WrongEventError("invalid_audio", "audio must be base64") from None
        if not self._session:
            session = self._session = self._server.open(self._settings, self._request)
            self._telling = asyncio.create_task(self._tell(session))
        await self._session.feed(raw)

    async def _finish(self) -> None:
        """End the stream; its last items are told when this returns."""
        if self._session and self._telling:
            self._session.finish()
            await asyncio.wait((self._telling,))
            self.close()

    async def _tell(self, session: Session) -> None:
        """Tell what a stream says; a stream that breaks off takes the connection with it."""
        try:
            await self._items.tell(session, self._has_turns)
        except RefusedError as refusal:
            await self._socket.close(refusal.close_code, _refusal_event(refusal))
        except ConnectionError:
            pass

    def _session_object(self) -> dict[str, Any]:
        shown = session_object(self._settings, self._has_turns, self._server.model_name)
        return {"id": self._id, **shown}

    async def _say(self, event: dict[str, Any]) -> None:
        await self._socket.send({"event_id": new_id("event"), **event})


def _event(text: str) -> dict[str, Any]:
    try:
        event = read_json(text)
    except ValueError:
        raise WrongEventError("invalid_json", "cannot parse the event as JSON") from None
    if not isinstance(event, dict) or not isinstance(event.get("type"), str):
        raise WrongEventError("invalid_event", "expected an object with a type")
    return event


def _refusal_event(refusal: RefusedError) -> dict[str, Any]:
    return _error_event(refusal.code, str(refusal))


def _error_event(code: str, message: str, event_id: Any = None) -> dict[str, Any]:
    shown_id = event_id if isinstance(event_id, str) else None
    return {
        "type": "error",
        "event_id": new_id("event"),
        "error": error_object(code, message, shown_id),
    }
