"""Files of results: a JSON object a line, added and never changed."""

import json
from pathlib import Path
from typing import Any

Line = dict[str, Any]


def append_line(path: Path, line: Line) -> None:
    """Add a line to a file, which is made if needed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(line, ensure_ascii=False) + "\n")


def read_lines(path: Path) -> list[Line]:
    """All lines of a file; none if it is not there."""
    if not path.exists():
        return []
    texts = path.read_text(encoding="utf-8").split("\n")
    return [json.loads(text) for text in texts if text.strip()]
