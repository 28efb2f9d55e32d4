"""Commands of the documents, as a reader would type them."""

import re
import shlex
from dataclasses import dataclass, field
from pathlib import Path

_FENCE = re.compile(r"^```(\w*)$")
_MARK = re.compile(r"^<!-- test: (.*) -->$")
_TYPED = ("halfbyte ", "recipes/", "python recipes/")


@dataclass
class Block:
    """A block of shell commands and what the page's source says about it to the test."""

    mark: str
    lines: list[str] = field(default_factory=list)

    @property
    def is_run(self) -> bool:
        """Whether the page leaves it to the test to run it."""
        return not self.mark.startswith("not run")

    def script(self) -> str:
        """The block with the mark's words after commands that train."""
        extra = self.mark.removeprefix("append ") if self.mark.startswith("append ") else ""
        return "\n".join(f"{line} {extra}" if extra else line for line in self.lines)


def shell_blocks(page: Path) -> list[Block]:
    """Fenced blocks of the language `sh`, each with the mark on the line before it."""
    blocks, mark, fence = [], "", None
    for line in page.read_text(encoding="utf-8").splitlines():
        opens = _FENCE.match(line)
        if opens and fence is None:
            fence = opens[1]
            if fence == "sh":
                blocks.append(Block(mark))
        elif line == "```":
            fence = None
        elif fence == "sh":
            blocks[-1].lines.append(line)
        mark = marked[1] if (marked := _MARK.match(line)) else ""
    return blocks


def typed_commands(page: Path) -> list[list[str]]:
    """Words of every command of ours in a block of a page, fenced or indented."""
    text = page.read_text(encoding="utf-8").replace("\\\n", " ")
    text = re.sub(r"^```(?!sh$)\w+\n.*?^```$", "", text, flags=re.DOTALL | re.MULTILINE)
    fenced = [line for block in shell_blocks(page) for line in block.lines]
    lines = [line[4:] for line in text.splitlines() if line.startswith("    ")] + fenced
    return [shlex.split(line, comments=True) for line in lines if line.startswith(_TYPED)]
