"""OpenAI's `POST /v1/audio/transcriptions`: a file in, its text out.

Forms: json, text, srt, vtt, verbose_json with segments and words. The file is recognised chunk
by chunk, as `halfbyte transcribe --stream` does; our own fields are `chunk_ms`, another
chunk, 0 for full context, and `channel`, the one to hear, from 1, in place of the mean of all.
`language`, `prompt` and `temperature` have no effect. Of a file that was cut short, the JSON forms
say so in a field of our own, `warning`.
"""

import asyncio
import contextlib
import errno
import json
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aiohttp import BodyPartReader, MultipartReader, web
from aiohttp.http import HttpProcessingError

from halfbyte.audio_file import AudioFile
from halfbyte.errors import HalfbyteError
from halfbyte.listen.events import Text, finals
from halfbyte.listen.subtitles import as_srt, as_vtt
from halfbyte.listen.transcript import as_text
from halfbyte.serve.app_keys import SERVER, Server
from halfbyte.serve.body import Body
from halfbyte.serve.language import language_name
from halfbyte.serve.openai_shapes import error_response, verbose
from halfbyte.serve.refusals import RefusedError
from halfbyte.serve.session import Session
from halfbyte.serve.settings import StreamSettings

_FORMS = ("json", "text", "srt", "vtt", "verbose_json")
_GRANULARITIES = ("segment", "word")
_LONGEST_FIELD_BYTES = 10_000  # a prompt may be long
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
# What aiohttp raises where a body is no form: besides these a connection's end.
_NO_FORM = (
    *(AssertionError, LookupError, RuntimeError, ValueError),
    *(HttpProcessingError, web.RequestPayloadError),
)


@dataclass
class _Form:
    """The fields of a request."""

    file: Path
    file_name: str = ""
    response_format: str = "json"
    granularities: tuple[str, ...] = ()
    chunk_ms: int | None = None
    channel: int | None = None


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
    path = name = ""
    try:
        with _scratch() as folder:
            form = _Form(folder / "audio")
            path = str(form.file)
            try:
                await _read_form(request, form)
            finally:
                name = form.file_name
            heard = await _recognise(request, form)
    except HalfbyteError as error:
        return error_response(error, path, name)
    return _answer(form, heard, request.app[SERVER])


@contextlib.contextmanager
def _scratch() -> Iterator[Path]:
    """A folder that is deleted with the request."""
    with _keeping():
        folder = tempfile.TemporaryDirectory(prefix="halfbyte-")
    with folder:
        yield Path(folder.name)


@contextlib.contextmanager
def _keeping() -> Iterator[None]:
    """A disk that takes no more is the server's trouble, and soon over perhaps."""
    try:
        yield
    except OSError as error:
        code = "disk_full" if error.errno in _NO_ROOM else "overloaded"
        message = f"the server cannot keep the file while it reads it: {error.strerror}; try later"
        raise RefusedError(code, message) from None


async def _read_form(request: web.Request, form: _Form) -> None:
    """Fill `form` from a multipart body; the file goes to disk, to be deleted with the answer."""
    if request.content_type != "multipart/form-data":
        raise RefusedError("bad_message", "expected a multipart/form-data body with a file")
    limits = request.app[SERVER].limits
    body = Body(request.content, request.content_length, limits.max_upload_bytes, limits.idle_s)
    try:
        # The reader asks of its stream what Body has.
        await _read_parts(MultipartReader(request.headers, body), form)  # type: ignore[arg-type]
    except ConnectionError:
        raise
    except _NO_FORM as error:
        raise RefusedError("bad_message", f"cannot read the form: {error}") from None
    if not form.file_name:
        raise RefusedError("bad_message", "the form has no field 'file'; send the recording in it")


async def _read_parts(parts: MultipartReader, form: _Form) -> None:
    while (part := await parts.next()) is not None:
        if not isinstance(part, BodyPartReader):
            raise RefusedError("bad_message", "a part of the form is multipart itself")
        if part.name == "file":
            form.file_name = part.filename or "file"
            await _save(part, form.file)
        else:
            _take_field(form, part.name or "", await _text(part))


async def _save(part: BodyPartReader, path: Path) -> None:
    with _keeping():
        file = path.open("wb", buffering=0)
    with file:
        while block := await part.read_chunk():
            with _keeping():
                file.write(block)


async def _text(part: BodyPartReader) -> str:
    raw = b""
    while block := await part.read_chunk():
        raw += block
        if len(raw) > _LONGEST_FIELD_BYTES:
            raise RefusedError(
                "message_too_large",
                f"field {part.name} is longer than {_LONGEST_FIELD_BYTES} bytes; shorten it",
            )
    return raw.decode("utf-8", "replace")


def _take_field(form: _Form, name: str, value: str) -> None:
    if name == "response_format":
        form.response_format = _one_of(name, value, _FORMS)
    elif name in ("timestamp_granularities[]", "timestamp_granularities"):
        form.granularities += (_one_of(name, value, _GRANULARITIES),)
    elif name in ("chunk_ms", "channel"):
        if not value.isdecimal() or len(value) > 6:
            raise RefusedError("bad_message", f"{name} is {value[:20]!r}; expected a whole number")
        setattr(form, name, int(value))
    elif name == "stream" and value.lower() in ("true", "1"):
        raise RefusedError("bad_message", "this request cannot stream; use /v1/realtime")


def _one_of(name: str, value: str, choices: tuple[str, ...]) -> str:
    if value not in choices:
        raise RefusedError(
            "bad_message", f"{name} is {value[:20]!r}; expected one of {', '.join(choices)}"
        )
    return value


async def _recognise(request: web.Request, form: _Form) -> _Heard:
    file = await asyncio.to_thread(AudioFile, form.file, form.channel)
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
