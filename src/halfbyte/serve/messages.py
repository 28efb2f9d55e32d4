"""The native protocol's messages, version 1: docs/protocol.md."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from halfbyte.listen.endpoint import EndpointRule
from halfbyte.listen.events import Event
from halfbyte.listen.settings import MODES, ModelSettings
from halfbyte.serve.refusals import RefusedError
from halfbyte.serve.session import Endpoint, SessionEvent
from halfbyte.serve.settings import (
    HIGHEST_RATE_HZ,
    LOWEST_RATE_HZ,
    SAMPLE_BYTES,
    StreamSettings,
)

VERSION = 1
START, FINISH = "start", "finish"
_START_KEYS = (
    *("type", "version", "sample_rate_hz", "encoding", "chunk_ms", "mode", "partials"),
    *("trailing_silence_ms", "max_segment_ms", "num_best"),
)
_MOST_ALTERNATIVES = 10
_LONGEST_SILENCE_MS = 60_000
_LONGEST_SEGMENT_MS = 3_600_000


def parse_control(text: str) -> dict[str, Any]:
    """A control message of a client.

    Raises:
        RefusedError: no JSON object with a known `type`, or keys that the type does not have.
    """
    try:
        message = json.loads(text)
    except (ValueError, RecursionError):
        raise RefusedError("bad_message", "the message is no JSON; send audio as binary") from None
    if not isinstance(message, dict) or message.get("type") not in (START, FINISH):
        raise RefusedError("bad_message", 'expected an object with "type": "start" or "finish"')
    known = _START_KEYS if message["type"] == START else ("type",)
    unknown = sorted(set(message) - set(known))
    if unknown:
        raise RefusedError(
            "bad_message", f"{message['type']} has no key {_shown(unknown[0])}; it has {known}"
        )
    return message


def settings_of(message: Mapping[str, Any]) -> StreamSettings:
    """Settings of a `start` message; what it leaves out keeps its default.

    Raises:
        RefusedError: another version, or a value of the wrong kind or out of range.
    """
    if message.get("version", VERSION) != VERSION:
        raise RefusedError("bad_message", f"this server speaks version {VERSION}")
    default = StreamSettings()
    silence_ms = message.get("trailing_silence_ms", default.endpoint.trailing_silence_ms)
    if silence_ms is not None:
        silence_ms = _whole("trailing_silence_ms", silence_ms, 0, _LONGEST_SILENCE_MS)
    longest_ms = message.get("max_segment_ms")
    if longest_ms is not None:
        longest_ms = _whole("max_segment_ms", longest_ms, 1, _LONGEST_SEGMENT_MS)
    chunk_ms = message.get("chunk_ms")
    return StreamSettings(
        _whole(
            "sample_rate_hz",
            message.get("sample_rate_hz", default.sample_rate_hz),
            LOWEST_RATE_HZ,
            HIGHEST_RATE_HZ,
        ),
        _one_of("encoding", message.get("encoding", default.encoding), tuple(SAMPLE_BYTES)),
        None if chunk_ms is None else _whole("chunk_ms", chunk_ms, 0, 60_000),
        _one_of("mode", message.get("mode", default.mode), MODES),
        EndpointRule(silence_ms, longest_ms),
        _one_of("partials", message.get("partials", True), (True, False)),
        _whole("num_best", message.get("num_best", default.num_best), 1, _MOST_ALTERNATIVES),
    )


def ready_message(settings: StreamSettings, model: ModelSettings, name: str) -> dict[str, Any]:
    """What the server says when a stream may begin: the settings that hold."""
    steps = model.chunk_choices_steps
    chunk_ms = model.chunk_steps * model.step_ms if settings.chunk_ms is None else settings.chunk_ms
    return {
        "type": "ready",
        "version": VERSION,
        "model": name,
        "sample_rate_hz": settings.sample_rate_hz,
        "encoding": settings.encoding,
        "chunk_ms": chunk_ms,
        "lookahead_ms": model.lookahead_ms,
        "chunk_choices_ms": [0, *(step * model.step_ms for step in steps)],
        "mode": settings.mode,
        "trailing_silence_ms": settings.endpoint.trailing_silence_ms,
        "max_segment_ms": min(
            settings.endpoint.max_segment_ms or model.max_segment_ms, model.max_segment_ms
        ),
        "partials": settings.wants_partials,
        "num_best": settings.num_best,
    }


def event_message(event: SessionEvent) -> dict[str, Any]:
    """An event as the client sees it."""
    if isinstance(event, Endpoint):
        return {"type": "endpoint", **asdict(event)}
    return _result_message(event)


def error_message(refusal: RefusedError) -> dict[str, Any]:
    """The one event before a stream is broken off."""
    return {"type": "error", "code": refusal.code, "message": str(refusal)}


def _result_message(event: Event) -> dict[str, Any]:
    message: dict[str, Any] = {
        "type": "final" if event.is_final else "partial",
        "text": event.text,
        "start_s": event.start_s,
        "end_s": event.end_s,
    }
    if event.is_final:
        message["words"] = [asdict(word) for word in event.words]
        if event.alternatives:
            message["alternatives"] = event.alternatives
    return message


def _whole(name: str, value: Any, lowest: int, highest: int) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not lowest <= value <= highest:
        raise RefusedError(
            "bad_message",
            f"{name} is {_shown(value)}; expected a whole number, {lowest} to {highest}",
        )
    return value


def _one_of(name: str, value: Any, choices: tuple[Any, ...]) -> Any:
    if not any(value is choice or (value == choice and type(value) is str) for choice in choices):
        raise RefusedError(
            "bad_message", f"{name} is {_shown(value)}; expected one of {json.dumps(choices)}"
        )
    return value


def _shown(value: Any) -> str:
    """A client's value in a message: not longer than a line."""
    text = json.dumps(value)
    return text if len(text) <= 40 else text[:37] + "..."
