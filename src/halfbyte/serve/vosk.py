"""The Vosk server's WebSocket protocol.

A client may send `{"config": {"sample_rate": …, "words": …}}`, then s16le audio; each block of it
gets one answer, a partial result or the final one of a segment. `{"eof": 1}` gets the last final
result, `{"reset": 1}` too, and the next stream begins. Our differences: without a configuration
the sample rate is 16 kHz; a segment holds one phrase of `phrase_list`, as a whole, and `[unk]` in
it has no effect.
"""

import asyncio
import contextlib
from dataclasses import replace
from typing import Any

from aiohttp import WSMessage, WSMsgType, web

from halfbyte.errors import HalfbyteError
from halfbyte.listen.events import Text
from halfbyte.listen.grammar import Grammar
from halfbyte.serve.json_text import read_json
from halfbyte.serve.refusals import RefusedError
from halfbyte.serve.session import Session
from halfbyte.serve.settings import HIGHEST_RATE_HZ, LOWEST_RATE_HZ, StreamSettings
from halfbyte.serve.sockets import ClientSocket, add_socket

MOST_ALTERNATIVES = 10
_CONTROLS = ("config", "eof", "reset")
_UNKNOWN = "[unk]"  # other words, in a list of phrases


def add_routes(app: web.Application) -> None:
    """Plug the protocol in, at an address of its own."""
    add_socket(app, "/vosk", converse)


async def converse(socket: ClientSocket, first: WSMessage | None = None) -> None:
    """Speak with a client until it ends; `first` is its first message, if read."""
    conversation = _Conversation(socket)
    try:
        await socket.speak(conversation.run(first), _error)
    finally:
        conversation.close()


def _error(refusal: RefusedError) -> dict[str, Any]:
    return {"error": str(refusal)}


class _Conversation:
    """One connection: a stream, and after a reset another."""

    def __init__(self, socket: ClientSocket):
        self._socket = socket
        self._request = socket.request
        self._server = socket.server
        self._settings = StreamSettings()
        self._has_words = True
        self._num_alternatives = 0
        self._session: Session | None = None
        self._heard: asyncio.Task[None] | None = None
        self._finals: list[Text] = []  # not told yet
        self._partial = ""
        self._refusal: RefusedError | None = None
        self._is_answering = False

    async def run(self, first: WSMessage | None) -> None:
        message = first or await self._socket.receive()
        while message is not None:
            self._is_answering = True
            if message.type is WSMsgType.BINARY:
                await self._answer(message.data)
            else:
                kind, value = _control(message.data)
                if kind == "config":
                    self._configure(value)
                else:
                    await self._finish()
                if kind == "eof":
                    return
            self._is_answering = False
            message = await self._socket.receive()

    def close(self) -> None:
        """Drop the stream."""
        if self._heard:
            self._heard.cancel()
        if self._session:
            self._session.close()
        self._session = self._heard = self._refusal = None

    async def _answer(self, audio: bytes) -> None:
        session = self._open()
        await session.feed(audio)
        await session.caught_up()
        await asyncio.sleep(0)  # `_hear` takes what has come
        self._raise_if_broken()
        if self._finals:
            await self._say(self._result([self._finals.pop(0)]))
        else:
            await self._say({"partial": self._partial})

    async def _finish(self) -> None:
        """The answer to `eof` and `reset`: all that has not been told, as one result."""
        if self._session and self._heard:
            self._session.finish()
            await asyncio.wait((self._heard,))
            self._raise_if_broken()
        self.close()
        finals, self._finals, self._partial = self._finals, [], ""
        await self._say(self._result(finals))

    def _open(self) -> Session:
        if not self._session:
            try:
                self._session = self._server.open(self._settings, self._request)
            except RefusedError:
                raise
            except HalfbyteError as error:
                raise RefusedError("bad_message", str(error)) from None
            self._heard = asyncio.create_task(self._hear(self._session))
        return self._session

    async def _hear(self, session: Session) -> None:
        try:
            async for event in session.events():
                if not isinstance(event, Text):
                    continue
                if event.is_final:
                    self._finals.append(event)
                self._partial = "" if event.is_final else event.text
        except RefusedError as refusal:
            await self._break_off(refusal)

    async def _break_off(self, refusal: RefusedError) -> None:
        """Between two messages of the client: what was heard is told without being asked for."""
        self._refusal = refusal
        if not self._is_answering:
            with contextlib.suppress(RefusedError, ConnectionError):
                if self._finals:
                    await self._say(self._result(self._finals))
            await self._socket.close(refusal.close_code, _error(refusal))

    def _raise_if_broken(self) -> None:
        if self._refusal:
            raise self._refusal

    def _configure(self, config: Any) -> None:
        if not isinstance(config, dict):
            raise RefusedError("bad_message", "config must be a JSON object")
        rate_hz = config.get("sample_rate", self._settings.sample_rate_hz)
        is_number = isinstance(rate_hz, int | float) and not isinstance(rate_hz, bool)
        if not is_number or not LOWEST_RATE_HZ <= rate_hz <= HIGHEST_RATE_HZ:
            raise RefusedError(
                "bad_message", f"sample_rate must be {LOWEST_RATE_HZ} to {HIGHEST_RATE_HZ}"
            )
        if self._session and rate_hz != self._settings.sample_rate_hz:
            raise RefusedError("bad_message", "send sample_rate before audio")
        self._settings = replace(self._settings, sample_rate_hz=int(rate_hz))
        self._has_words = bool(config.get("words", self._has_words))
        alternatives = config.get("max_alternatives", self._num_alternatives)
        if type(alternatives) is not int or not 0 <= alternatives <= MOST_ALTERNATIVES:
            raise RefusedError("bad_message", f"max_alternatives must be 0 to {MOST_ALTERNATIVES}")
        self._num_alternatives = alternatives
        self._settings = replace(self._settings, num_best=max(1, alternatives))
        if "phrase_list" in config:
            self._settings = replace(self._settings, grammar=_grammar_of(config["phrase_list"]))

    def _result(self, finals: list[Text]) -> dict[str, Any]:
        """One result of several segments: a client takes one answer for each of its messages."""
        words = [word for final in finals for word in final.words]
        result: dict[str, Any] = {"text": " ".join(final.text for final in finals if final.text)}
        if self._has_words and words:
            result["result"] = [
                {"conf": w.confidence, "end": w.end_s, "start": w.start_s, "word": w.text}
                for w in words
            ]
        if not self._num_alternatives:
            return result
        confidences = [word.confidence for word in words]
        mean = sum(confidences) / len(confidences) if confidences else 0.0
        others = finals[0].alternatives if len(finals) == 1 else []
        return {
            "alternatives": [
                {"confidence": mean, **result},
                *({"confidence": 0.0, "text": text} for text in others),
            ]
        }

    async def _say(self, message: dict[str, Any]) -> None:
        await self._socket.send(message)


def _grammar_of(phrases: Any) -> Grammar | None:
    """What a list of phrases allows; an empty one allows anything."""
    if not isinstance(phrases, list) or not all(isinstance(one, str) for one in phrases):
        raise RefusedError("bad_message", "phrase_list has to be a list of texts")
    lines = [" ".join(phrase.split()) for phrase in phrases if phrase != _UNKNOWN]
    return Grammar("\n".join(["", *lines]), "phrase_list") if lines else None


def _control(text: str) -> tuple[str, Any]:
    """Name and value of a control message."""
    try:
        message = read_json(text)
    except ValueError:
        raise RefusedError("bad_message", "the message is not JSON; send audio as binary") from None
    if isinstance(message, dict):
        for kind in _CONTROLS:
            if kind in message:
                return kind, message[kind]
    raise RefusedError("bad_message", f"expected an object with one of {', '.join(_CONTROLS)}")
