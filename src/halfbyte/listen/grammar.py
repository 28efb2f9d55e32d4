"""What may be said: JSGF, or a list of phrases."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from halfbyte.errors import UsageError


@dataclass(frozen=True)
class Grammar:
    """A grammar for `StreamOptions.grammar`; docs/grammars.md says what may stand in it.

    It is checked when a stream starts.

    Attributes:
        text: JSGF where its first line begins with `#JSGF`, else phrases, one a line.
        name: of its file, for messages.
    """

    text: str
    name: str = "grammar"

    @classmethod
    def read(cls, path: str | os.PathLike[str]) -> Self:
        """The grammar in a file.

        Raises:
            OSError: the file cannot be read.
            UsageError: it is no UTF-8.
        """
        try:
            return cls(Path(path).read_text(encoding="utf-8-sig"), os.fspath(path))
        except UnicodeDecodeError as error:
            raise UsageError(
                f"{path}: no text: byte {error.start + 1} is no UTF-8; save it as UTF-8"
            ) from None


def grammar_for_core(value: Any) -> tuple[str, str] | None:
    """Name and text of a `Grammar`, or of a text, for the C++ core; None for None.

    Raises:
        UsageError: neither of these.
    """
    if value is None:
        return None
    grammar = Grammar(value) if isinstance(value, str) else value
    if not isinstance(grammar, Grammar) or not isinstance(grammar.text, str):
        raise UsageError(
            f"the grammar is of type {type(value).__name__}; expected its text, or "
            "Grammar.read(path)"
        )
    return str(grammar.name), grammar.text
