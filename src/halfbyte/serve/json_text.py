"""JSON of clients."""

import json
from typing import Any


def read_json(text: str | bytes) -> Any:
    """The value of a JSON text.

    Raises:
        ValueError: no JSON, no UTF-8, nested too deeply, or with half a surrogate pair, which no
            answer could repeat.
    """
    if isinstance(text, bytes):
        text = text.decode()
    try:
        value = json.loads(text)
        if "\\u" in text:  # nothing else makes a half
            json.dumps(value, ensure_ascii=False).encode()
    except RecursionError:
        raise ValueError("nested too deeply") from None
    return value


def is_object(data: bytes) -> bool:
    """Whether bytes are a JSON object: a message that came in a binary frame, not audio."""
    text = data.strip()
    if text[:1] != b"{" or text[-1:] != b"}":
        return False
    try:
        return isinstance(read_json(text), dict)
    except ValueError:
        return False
