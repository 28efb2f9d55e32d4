"""Writes the defaults of the configuration into the tables of docs/training.md.

    python tools/config_defaults.py

A row is `| key | default | what it does |`; keys and meanings are written by hand, and a test
compares all three columns' keys and defaults with the code.
"""

import dataclasses
import re
from pathlib import Path
from typing import Any

from halfbyte.train.config import train_config

PAGE = Path(__file__).resolve().parent.parent / "docs" / "training.md"
TABLES = "## All keys"
FAMILY = "u2"  # whose keys of `model` the page has
ROW = re.compile(r"^\| `([\w.]+)` \| `([^|`]*)` \|", re.MULTILINE)


def defaults(config: Any = None, prefix: str = "") -> dict[str, str]:
    """Every key of the configuration, as `a.b.c`, with its default as the page shows it."""
    shown: dict[str, str] = {}
    config = config or train_config({"family": FAMILY})
    for field in dataclasses.fields(config):
        name, value = prefix + field.name, getattr(config, field.name)
        shown |= (
            defaults(value, f"{name}.")
            if dataclasses.is_dataclass(value)
            else {name: _shown(value)}
        )
    return shown | ({"family": "needed"} if not prefix else {})


def documented() -> dict[str, str]:
    """Keys and defaults on the page."""
    return dict(ROW.findall(PAGE.read_text(encoding="utf-8").partition(TABLES)[2]))


def main() -> None:
    """Write the page."""
    shown = defaults()
    head, title, tables = PAGE.read_text(encoding="utf-8").partition(TABLES)
    filled = ROW.sub(lambda row: f"| `{row[1]}` | `{shown.get(row[1], row[2])}` |", tables)
    PAGE.write_text(head + title + filled, encoding="utf-8")


def _shown(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return str(list(value)) if isinstance(value, tuple) else str(value) or "empty"


if __name__ == "__main__":
    main()
