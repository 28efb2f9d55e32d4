"""Where a figure comes from: machine, compiler, code. Part of every result line.

python bench/origin.py FILE      write the commit into the last line of a result file, which an
                                 installed program that knows none has added
"""

import json
import os
import re
import sys
from pathlib import Path
from typing import Any

from halfbyte import _core
from halfbyte.files import write_whole
from halfbyte.measure.code import commit_of
from halfbyte.measure.cpu import machine

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "bench" / "results"


def origin() -> dict[str, Any]:
    """Machine, instruction set, threads, compiler and commit."""
    return {
        "machine": machine(),
        "isa": os.environ.get("HALFBYTE_ISA") or _core.kernels.isas()[-1],
        "threads": 1,
        "compiler": compiler(),
        "commit": commit_of(ROOT),
    }


def compiler() -> str:
    """The compiler that the core names in its comment section; empty if it names none."""
    found = re.search(rb"(?:GCC: \([^)]*\)|clang version) [\d.]+", core_path().read_bytes())
    return found[0].decode() if found else ""


def core_path() -> Path:
    """The compiled core."""
    return Path(str(_core.__file__))


def append_line(path: Path, line: dict[str, Any]) -> None:
    """Add a result line to a file, which is made if needed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(line, ensure_ascii=False) + "\n")


def read_lines(path: Path) -> list[dict[str, Any]]:
    """The result lines of a file; none if it is not there."""
    if not path.exists():
        return []
    return [json.loads(text) for text in path.read_text(encoding="utf-8").splitlines() if text]


def table(head: list[str], rows: list[list[str]]) -> str:
    """Columns for people, the first flush left, the others flush right."""
    widths = [max(len(cells[i]) for cells in [head, *rows]) for i in range(len(head))]
    lines = []
    for cells in [head, *rows]:
        first = cells[0].ljust(widths[0])
        others = (cell.rjust(width) for cell, width in zip(cells[1:], widths[1:], strict=True))
        lines.append("  ".join([first, *others]).rstrip())
    return "\n".join(lines)


def _note_commit(path: Path) -> None:
    *lines, last = path.read_text(encoding="utf-8").splitlines()
    lines.append(json.dumps(json.loads(last) | {"commit": commit_of(ROOT)}, ensure_ascii=False))
    write_whole(path, "".join(f"{line}\n" for line in lines).encode())


if __name__ == "__main__":
    _note_commit(Path(sys.argv[1]))
