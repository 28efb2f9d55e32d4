"""OpenAI's `POST /v1/audio/transcriptions`: a file in, its text out.

Forms: json, text, srt, vtt, verbose_json with segments and words. The file is recognised chunk
by chunk, as `halfbyte transcribe --stream` does; our own field `chunk_ms` chooses another chunk, 0
full context. `language`, `prompt` and `temperature` have no effect. Of a file that was cut short,
the JSON forms say so in a field of our own, `warning`.
"""

import asyncio
import json
import tempfile
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from aiohttp import BodyPartReader, web

from halfbyte.audio_file import AudioFile
from halfbyte.errors import HalfbyteError
from halfbyte.listen.events import Text, finals
from halfbyte.listen.subtitles import as_srt, as_vtt
from halfbyte.listen.transcript import as_text
from halfbyte.serve.app_keys import SERVER, Server
from halfbyte.serve.language import language_name
from halfbyte.serve.openai_shapes import error_response, verbose
from halfbyte.serve.refusals import RefusedError
from halfbyte.serve.session import Session
from halfbyte.serve.settings import Limits, StreamSettings

_Read = TypeVar("_Read")

_FORMS = ("json", "text", "srt", "vtt", "verbose_json")
_GRANULARITIES = ("segment", "word")
_LONGEST_FIELD_BYTES = 10_000  # a prompt may be long


@dataclass
class _Form:
    """The fields of a request."""

    file: Path
    file_name: str = ""
    response_format: str = "json"
    granularities: tuple[str, ...] = ()
    chunk_ms: int | None = None


@dataclass
class _Heard:
    """What was recognised in the file."""

    finals: list[Text]
    duration_s: float
    warning: str


def add_routes(app: web.Application) -> None:
    """Plug the protocol in."""
    app.router.add_post("/v1/audio/transcriptions", handle)


async def handle(request: web.Request) -> web.StreamResponse:
    """One file."""
    with tempfile.TemporaryDirectory(prefix="halfbyte-") as folder:
        form = _Form(Path(folder) / "audio")
        try:
            await _read_form(request, form)
            heard = await _recognise(request, form)
        except HalfbyteError as error:
            return error_response(error, str(form.file), form.file_name)
        except ConnectionError:  # nobody is left to be told
            return web.Response(status=400)
    return _answer(form, heard, request.app[SERVER])


async def _read_form(request: web.Request, form: _Form) -> None:
    """Fill `form` from a multipart body; the file goes to disk, to be deleted with the answer."""
    if request.content_type != "multipart/form-data":
        raise RefusedError("bad_message", "expected a multipart/form-data body with a file")
    limits = request.app[SERVER].limits
    try:
        body = await request.multipart()
        while (part := await _in_time(body.next(), limits)) is not None:
            if not isinstance(part, BodyPartReader):
                raise RefusedError("bad_message", "a multipart body inside another came")
            if part.name == "file":
                form.file_name = part.filename or "file"
                await _save(part, form.file, limits)
            else:
                _take_field(form, part.name or "", (await _text(part, limits)))
    except (ValueError, AssertionError) as error:
        raise RefusedError("bad_message", f"the body is no multipart/form-data: {error}") from None
    if not form.file_name:
        raise RefusedError("bad_message", "the field file is missing")


async def _in_time(reading: Awaitable[_Read], limits: Limits) -> _Read:
    """What is read, if it comes before the client counts as idle."""
    try:
        async with asyncio.timeout(limits.idle_s):
            return await reading
    except TimeoutError:
        raise RefusedError("idle", f"nothing came for {limits.idle_s:g} s") from None


async def _save(part: BodyPartReader, path: Path, limits: Limits) -> None:
    num_bytes = 0
    with path.open("wb") as file:
        while block := await _in_time(part.read_chunk(), limits):
            num_bytes += len(block)
            if num_bytes > limits.max_upload_bytes:
                raise RefusedError(
                    "message_too_large", f"the file is longer than {limits.max_upload_bytes} bytes"
                )
            file.write(block)


async def _text(part: BodyPartReader, limits: Limits) -> str:
    raw = b""
    while block := await _in_time(part.read_chunk(), limits):
        raw += block
        if len(raw) > _LONGEST_FIELD_BYTES:
            raise RefusedError("message_too_large", f"the field {part.name} is too long")
    return raw.decode("utf-8", "replace")


def _take_field(form: _Form, name: str, value: str) -> None:
    if name == "response_format":
        form.response_format = _one_of(name, value, _FORMS)
    elif name in ("timestamp_granularities[]", "timestamp_granularities"):
        form.granularities += (_one_of(name, value, _GRANULARITIES),)
    elif name == "chunk_ms":
        if not value.isdecimal() or len(value) > 6:
            raise RefusedError(
                "bad_message", f"chunk_ms is {value[:20]!r}; expected a whole number"
            )
        form.chunk_ms = int(value)
    elif name == "stream" and value.lower() in ("true", "1"):
        raise RefusedError("bad_message", "stream is not offered here; /v1/realtime is")


def _one_of(name: str, value: str, choices: tuple[str, ...]) -> str:
    if value not in choices:
        raise RefusedError(
            "bad_message", f"{name} is {value[:20]!r}; expected one of {', '.join(choices)}"
        )
    return value


async def _recognise(request: web.Request, form: _Form) -> _Heard:
    file = await asyncio.to_thread(AudioFile, form.file)
    settings = StreamSettings(
        sample_rate_hz=file.sample_rate_hz,
        encoding="f32le",
        chunk_ms=form.chunk_ms,
        wants_partials=False,
    )
    session = request.app[SERVER].open(settings, request)
    feeding = asyncio.create_task(_feed(session, file))
    try:
        events = [event async for event in session.events()]
        await feeding
    finally:
        feeding.cancel()
        session.close()
    return _Heard(finals(events), session.fed_s, file.warning)


async def _feed(session: Session, file: AudioFile) -> None:
    """Hand over the file; what is wrong with it ends the session, then raises."""
    blocks = iter(file)
    try:
        while (block := await asyncio.to_thread(next, blocks, None)) is not None:
            await session.feed(bytes(block))
    except BaseException:
        session.close()
        raise
    session.finish()


def _answer(form: _Form, heard: _Heard, server: Server) -> web.Response:
    plain: dict[str, Callable[[list[Text]], str]] = {
        "text": lambda events: as_text(events) + "\n",
        "srt": as_srt,
        "vtt": as_vtt,
    }
    if form.response_format in plain:
        return web.Response(text=plain[form.response_format](heard.finals))
    answer: dict[str, Any] = {"text": as_text(heard.finals)}
    if form.response_format == "verbose_json":
        language = language_name(server)
        answer = verbose(heard.finals, heard.duration_s, form.granularities, language)
    answer["usage"] = {"type": "duration", "seconds": round(heard.duration_s, 3)}
    if heard.warning:
        answer["warning"] = heard.warning
    return web.json_response(answer, dumps=lambda value: json.dumps(value, ensure_ascii=False))
