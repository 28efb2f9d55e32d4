"""What a hostile file is."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Hostile:
    """A file that must be refused in one line.

    Attributes:
        content: the bytes of the file.
        reason: a regular expression that the line must match.
    """

    content: bytes
    reason: str = ""
