"""WeNet's WebSocket protocol, as its runtime's server speaks it.

A client sends `{"signal": "start"}`, 16 kHz s16le audio and `{"signal": "end"}`; the server says
`server_ready`, `partial_result`, `final_result` and `speech_end`. Lists of hypotheses are JSON in a
string, times are milliseconds. Our difference: a `start` may name another `sample_rate`.
"""

import json
from typing import Any

from aiohttp import WSMessage, WSMsgType, web

from halfbyte.listen.events import Text
from halfbyte.serve.json_text import read_json
from halfbyte.serve.refusals import CLOSE_DONE, RefusedError
from halfbyte.serve.relay import run_together
from halfbyte.serve.session import Session
from halfbyte.serve.settings import HIGHEST_RATE_HZ, LOWEST_RATE_HZ, StreamSettings
from halfbyte.serve.sockets import ClientSocket, add_socket

MOST_HYPOTHESES = 10


def add_routes(app: web.Application) -> None:
    """Plug the protocol in, at an address of its own."""
    add_socket(app, "/wenet", converse)


async def converse(socket: ClientSocket, first: WSMessage | None = None) -> None:
    """Speak with a client until it has what it wants; `first` is its first message, if read."""
    await socket.speak(_Conversation(socket).run(first), _failure)


def _failure(refusal: RefusedError) -> dict[str, Any]:
    return {"status": "failed", "message": str(refusal)}


class _Conversation:
    """One stream, between `start` and `speech_end`."""

    def __init__(self, socket: ClientSocket):
        self._socket = socket
        self._request = socket.request
        self._server = socket.server
        self._is_continuous = False

    async def run(self, first: WSMessage | None) -> None:
        start = first or await self._socket.receive()
        if start is None:
            return
        session = self._start(start)
        try:
            await self._say("server_ready")
            await run_together(self._read(session), self._tell(session))
        finally:
            session.close()

    def _start(self, message: WSMessage) -> Session:
        if message.type is not WSMsgType.TEXT:
            raise RefusedError("bad_message", "send the start signal before audio")
        control = _control(message.data)
        if control["signal"] != "start":
            raise RefusedError("bad_message", "send the start signal before the end signal")
        self._is_continuous = _of_type(control, "continuous_decoding", bool, False)
        num_best = min(max(1, _of_type(control, "nbest", int, 1)), MOST_HYPOTHESES)
        rate_hz = _of_type(control, "sample_rate", int, StreamSettings().sample_rate_hz)
        if not LOWEST_RATE_HZ <= rate_hz <= HIGHEST_RATE_HZ:
            raise RefusedError(
                "bad_message",
                f"sample_rate is {rate_hz}; expected {LOWEST_RATE_HZ} to {HIGHEST_RATE_HZ}",
            )
        settings = StreamSettings(sample_rate_hz=rate_hz, num_best=num_best)
        return self._server.open(settings, self._request)

    async def _read(self, session: Session) -> None:
        while (message := await self._socket.receive()) is not None:
            if message.type is WSMsgType.BINARY:
                await session.feed(message.data)
            elif _control(message.data)["signal"] == "end":
                session.finish()
                return
            else:
                raise RefusedError("bad_message", "the stream has started; open another connection")
        session.close()

    async def _tell(self, session: Session) -> None:
        has_final = False
        async for event in session.events():
            if not isinstance(event, Text):
                continue
            await self._say(
                "final_result" if event.is_final else "partial_result", nbest=_nbest(event)
            )
            has_final |= event.is_final
            if event.is_final and not self._is_continuous:
                break
        if not has_final:  # without sound; clients wait for a result
            await self._say("final_result", nbest=json.dumps([{"sentence": "", "word_pieces": []}]))
        await self._say("speech_end")
        session.close()
        await self._socket.close(CLOSE_DONE)

    async def _say(self, kind: str, **more: str) -> None:
        message = {"status": "ok", "type": kind, **more}
        await self._socket.send(message)


def _control(text: str) -> dict[str, Any]:
    try:
        message = read_json(text)
    except ValueError:
        raise RefusedError("bad_message", "the message is not JSON; send audio as binary") from None
    if not isinstance(message, dict) or message.get("signal") not in ("start", "end"):
        raise RefusedError("bad_message", 'expected an object with "signal": "start" or "end"')
    return message


def _of_type(control: dict[str, Any], name: str, kind: type, default: Any) -> Any:
    value = control.get(name, default)
    if type(value) is not kind:
        raise RefusedError("bad_message", f"{name} has the wrong type; expected {kind.__name__}")
    return value


def _nbest(event: Text) -> str:
    hypothesis: dict[str, Any] = {"sentence": event.text}
    if event.is_final:
        hypothesis["word_pieces"] = [
            {"word": word.text, "start": _ms(word.start_s), "end": _ms(word.end_s)}
            for word in event.words
        ]
    others = [{"sentence": text, "word_pieces": []} for text in event.alternatives]
    return json.dumps([hypothesis, *others], ensure_ascii=False)


def _ms(seconds: float) -> int:
    return round(seconds * 1000)
