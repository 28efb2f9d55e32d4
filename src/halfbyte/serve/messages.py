"""The native protocol's messages, version 1: docs/protocol.md."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from halfbyte.listen.events import Event, Text, kind_of
from halfbyte.listen.options import EndpointRule
from halfbyte.listen.settings import ModelSettings
from halfbyte.serve.json_text import read_json
from halfbyte.serve.refusals import RefusedError
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
    *("trailing_silence_ms", "max_segment_ms", "num_best", "min_score", "grammar"),
)
_MOST_ALTERNATIVES = 10


def parse_control(text: str) -> dict[str, Any]:
    """A control message of a client.

    Raises:
        RefusedError: no JSON object with a known `type`, or keys that the type does not have.
    """
    try:
        message = read_json(text)
    except ValueError:
        raise RefusedError("bad_message", "the message is not JSON; send audio as binary") from None
    if not isinstance(message, dict) or message.get("type") not in (START, FINISH):
        raise RefusedError("bad_message", 'expected an object with "type": "start" or "finish"')
    known = _START_KEYS if message["type"] == START else ("type",)
    unknown = sorted(set(message) - set(known))
    if unknown:
        raise RefusedError(
            "bad_message",
            f"{message['type']} has no key {_shown(unknown[0])}; expected {', '.join(known)}",
        )
    return message


def settings_of(message: Mapping[str, Any]) -> StreamSettings:
    """Settings of a `start` message; what it leaves out keeps its default.

    Ranges that are not the server's own are the stream's to check.

    Raises:
        RefusedError: another version, or a value of the wrong kind or out of range.
    """
    if message.get("version", VERSION) != VERSION:
        raise RefusedError(
            "bad_message",
            f"version is {_shown(message['version'])}; this server speaks version {VERSION}",
        )
    default = StreamSettings()
    rule = default.endpoint

    def whole(name: str, usual: int | None) -> int | None:
        value = message.get(name, usual)
        return None if value is None else _whole(name, value, -(2**31), 2**31 - 1)

    def text(name: str, expected: str) -> str | None:
        value = message.get(name)
        if value is not None and not isinstance(value, str):
            raise RefusedError(
                "bad_message", f"{name} is {_shown(value)}; expected {expected} or null"
            )
        return value

    return StreamSettings(
        chunk_ms=whole("chunk_ms", None),
        mode=text("mode", "a name"),
        grammar=text("grammar", "phrases, one a line, or JSGF"),
        endpoint=EndpointRule(
            whole("trailing_silence_ms", rule.trailing_silence_ms), whole("max_segment_ms", None)
        ),
        sample_rate_hz=_whole(
            "sample_rate_hz",
            message.get("sample_rate_hz", default.sample_rate_hz),
            LOWEST_RATE_HZ,
            HIGHEST_RATE_HZ,
        ),
        num_best=_whole(
            "num_best", message.get("num_best", default.num_best), 1, _MOST_ALTERNATIVES
        ),
        encoding=_one_of(
            "encoding", message.get("encoding", default.encoding), tuple(SAMPLE_BYTES)
        ),
        wants_partials=_one_of("partials", message.get("partials", True), (True, False)),
        min_score=_score("min_score", message.get("min_score")),
    )


def ready_message(settings: StreamSettings, model: ModelSettings, name: str) -> dict[str, Any]:
    """What the server says when a stream may begin: the settings that hold."""
    steps = model.chunk_choices_steps
    chunk_ms = model.chunk_steps * model.step_ms if settings.chunk_ms is None else settings.chunk_ms
    return {
        "type": "ready",
        "version": VERSION,
        "model": name,
        "family": model.family,
        "sample_rate_hz": settings.sample_rate_hz,
        "encoding": settings.encoding,
        "chunk_ms": chunk_ms,
        "lookahead_ms": model.lookahead_ms,
        "chunk_choices_ms": [0, *(step * model.step_ms for step in steps)],
        "mode": settings.mode or model.default_mode,
        "mode_choices": model.modes,
        "trailing_silence_ms": settings.endpoint.trailing_silence_ms,
        "max_segment_ms": min(
            settings.endpoint.max_segment_ms or model.max_segment_ms, model.max_segment_ms
        ),
        "partials": settings.wants_partials,
        "num_best": settings.num_best,
        "min_score": settings.min_score,
    }


def event_message(event: Event, num_best: int = 1) -> dict[str, Any]:
    """An event as the client sees it; texts have `hypotheses` if it asked for several."""
    if not isinstance(event, Text):
        return {"type": kind_of(event), **asdict(event)}
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
        if event.slots:
            message["slots"] = [asdict(slot) for slot in event.slots]
    if num_best > 1:
        message["hypotheses"] = [asdict(one) for one in event.hypotheses]
    return message


def error_message(refusal: RefusedError) -> dict[str, Any]:
    """The one event before a stream is broken off."""
    return {"type": "error", "code": refusal.code, "message": str(refusal)}


def _whole(name: str, value: Any, lowest: int, highest: int) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not lowest <= value <= highest:
        raise RefusedError(
            "bad_message",
            f"{name} is {_shown(value)}; expected a whole number, {lowest} to {highest}",
        )
    return value


def _score(name: str, value: Any) -> float | None:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if value is not None and not (is_number and 0 <= value <= 1):
        raise RefusedError("bad_message", f"{name} is {_shown(value)}; expected a score, 0 to 1")
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
