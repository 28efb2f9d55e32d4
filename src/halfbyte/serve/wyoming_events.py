"""Events of the Wyoming protocol as bytes.

An event is a line of JSON with `type` and `data`, then `data_length` bytes of JSON whose keys
join `data`, then `payload_length` bytes of audio.

Not read by the package `wyoming` (1.10.2): it takes any length that a client names, and says
nothing of an event that is none. The tests' clients are that package.
"""

import asyncio
import json
from dataclasses import dataclass, field
from typing import Any

from halfbyte.serve.json_text import read_json
from halfbyte.serve.refusals import RefusedError

VERSION = "1.10.2"  # of the package `wyoming` whose events these are
LONGEST_LINE_BYTES = 1 << 16


@dataclass(frozen=True)
class WyomingEvent:
    """One event."""

    type: str
    data: dict[str, Any] = field(default_factory=dict)
    payload: bytes = b""


def pack(event: WyomingEvent) -> bytes:
    """The event as bytes."""
    data = json.dumps(event.data, ensure_ascii=False).encode() if event.data else b""
    head: dict[str, Any] = {"type": event.type, "version": VERSION}
    if data:
        head["data_length"] = len(data)
    if event.payload:
        head["payload_length"] = len(event.payload)
    return json.dumps(head).encode() + b"\n" + data + event.payload


async def read_event(reader: asyncio.StreamReader, most_bytes: int) -> WyomingEvent | None:
    """The next event; None at the end, also in the middle of an event.

    Args:
        reader: with a limit of LONGEST_LINE_BYTES.
        most_bytes: of data, and of payload.

    Raises:
        RefusedError: no such event, or a longer one.
    """
    try:
        line = await reader.readuntil(b"\n")
        head = _object(line)
        data = head.get("data") or {}
        more = await _part(reader, head, "data_length", most_bytes)
        payload = await _part(reader, head, "payload_length", most_bytes)
    except asyncio.IncompleteReadError:
        return None
    except asyncio.LimitOverrunError:
        raise RefusedError(
            "message_too_large",
            f"a line is longer than {LONGEST_LINE_BYTES} bytes",
        ) from None
    if more and isinstance(data, dict):
        data = {**data, **_object(more)}
    if not isinstance(head.get("type"), str) or not isinstance(data, dict):
        raise RefusedError("bad_message", "expected an event with a type, and data as an object")
    return WyomingEvent(head["type"], data, payload)


async def _part(
    reader: asyncio.StreamReader, head: dict[str, Any], name: str, most_bytes: int
) -> bytes:
    num_bytes = head.get(name) or 0
    if type(num_bytes) is not int or num_bytes < 0:
        raise RefusedError("bad_message", f"{name} must be a number of bytes")
    if num_bytes > most_bytes:
        raise RefusedError("message_too_large", f"{name} is {num_bytes}; the limit is {most_bytes}")
    return await reader.readexactly(num_bytes)


def _object(text: bytes) -> dict[str, Any]:
    try:
        value = read_json(text)
    except ValueError:
        raise RefusedError("bad_message", "expected an event as a line of JSON") from None
    if not isinstance(value, dict):
        raise RefusedError("bad_message", "expected an event as a JSON object")
    return value
