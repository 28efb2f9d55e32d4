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
from halfbyte.tables import aligned

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


def table(head: list[str], rows: list[list[str]]) -> str:
    """Columns for people under their heads."""
    return aligned([head, *rows])


def _note_commit(path: Path) -> None:
    *lines, last = path.read_text(encoding="utf-8").splitlines()
    lines.append(json.dumps(json.loads(last) | {"commit": commit_of(ROOT)}, ensure_ascii=False))
    write_whole(path, "".join(f"{line}\n" for line in lines).encode())


if __name__ == "__main__":
    _note_commit(Path(sys.argv[1]))
