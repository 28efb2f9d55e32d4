"""Objects of OpenAI's interface that several of our answers hold."""

import math
import zlib
from collections.abc import Sequence
from typing import Any

from aiohttp import web

from halfbyte.errors import HalfbyteError, UsageError
from halfbyte.listen.events import Text
from halfbyte.listen.transcript import as_text
from halfbyte.serve.refusals import RefusedError

_LEAST_CONFIDENCE = 1e-6
_STATUS = {  # of HTTP; others are 400
    "idle": 408,
    "message_too_large": 413,
    "too_many_streams": 429,
    "internal": 500,
    "overloaded": 503,
    "shutting_down": 503,
    "disk_full": 507,
}


def error_response(error: HalfbyteError, path: str, file_name: str) -> web.Response:
    """An error in OpenAI's form; the server's own path of the file is not shown."""
    code = _code(error)
    message = str(error).replace(path, file_name)
    return web.json_response({"error": error_object(code, message)}, status=_STATUS.get(code, 400))


def _code(error: HalfbyteError) -> str:
    if isinstance(error, RefusedError):
        return error.code
    return "bad_message" if isinstance(error, UsageError) else "bad_audio"


def error_object(code: str, message: str, event_id: str | None = None) -> dict[str, Any]:
    """What went wrong; `event_id` is that of the client's event."""
    kind = "server_error" if _STATUS.get(code, 400) >= 500 else "invalid_request_error"
    shown: dict[str, Any] = {"type": kind, "code": code, "message": message, "param": None}
    return shown if event_id is None else {**shown, "event_id": event_id}


def verbose(
    finals: Sequence[Text], duration_s: float, granularities: Sequence[str], language: str
) -> dict[str, Any]:
    """A verbose_json answer: segments unless only words are asked for, words if asked for."""
    answer: dict[str, Any] = {
        "task": "transcribe",
        "language": language,
        "duration": round(duration_s, 3),
        "text": as_text(finals),
    }
    spoken = [final for final in finals if final.text]
    if "segment" in granularities or "word" not in granularities:
        answer["segments"] = [_segment(i, final) for i, final in enumerate(spoken)]
    if "word" in granularities:
        answer["words"] = [
            {"word": word.text, "start": word.start_s, "end": word.end_s}
            for final in spoken
            for word in final.words
        ]
    return answer


def _segment(number: int, final: Text) -> dict[str, Any]:
    """Ours has neither temperature nor tokens of Whisper's; those fields hold its neutral values.

    avg_logprob is the mean logarithm of the words' confidences.
    """
    logarithms = [math.log(max(word.confidence, _LEAST_CONFIDENCE)) for word in final.words]
    raw = final.text.encode()
    return {
        "id": number,
        "seek": 0,
        "start": final.words[0].start_s if final.words else final.start_s,
        "end": final.words[-1].end_s if final.words else final.end_s,
        "text": final.text,
        "tokens": [],
        "temperature": 0.0,
        "avg_logprob": round(sum(logarithms) / max(1, len(logarithms)), 4),
        "compression_ratio": round(len(raw) / len(zlib.compress(raw)), 4),
        "no_speech_prob": 0.0,
    }
