"""Reports the sizes of files and functions against the project's limits.

    python tools/size_report.py             print the report; exit 1 if a limit is broken

Aims: files of 150 to 300 lines, a question at 400; functions of 12 lines (median) and 40 (nine in
ten), none above 80, a SIMD kernel 150.
"""

import ast
import re
import statistics
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FOLDERS = ("src", "csrc", "tools", "tests", "bench")
CPP_SUFFIXES = {".cc", ".h"}
LONGEST_FILE = 400
LONGEST_FUNCTION = 80
LONGEST_KERNEL = 150
MEDIAN_FUNCTION = 12
P90_FUNCTION = 40


@dataclass(frozen=True)
class Sized:
    """A file or function and its length."""

    name: str
    num_lines: int
    limit: int

    @property
    def is_too_long(self) -> bool:
        return self.num_lines > self.limit


def files(root: Path) -> list[Path]:
    """Source files of the repository."""
    found = [path for folder in FOLDERS for path in sorted((root / folder).rglob("*"))]
    return [path for path in found if path.suffix in CPP_SUFFIXES | {".py"}]


def functions(path: Path, name: str) -> list[Sized]:
    """Functions of a source file; the lines of a docstring do not count."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".py":
        return python_functions(text, name)
    limit = LONGEST_KERNEL if "/x86/" in name or "/arm/" in name else LONGEST_FUNCTION
    return cpp_functions(text, name, limit)


def python_functions(text: str, name: str) -> list[Sized]:
    """Functions and methods, from `def` to the last line, less the docstring."""
    nodes = [
        node
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    ]
    return [Sized(f"{name}:{node.name}", _code_lines(node), LONGEST_FUNCTION) for node in nodes]


def cpp_functions(text: str, name: str, limit: int) -> list[Sized]:
    """Blocks that a signature opens at file or class depth: near enough without a parser."""
    found = []
    lines = text.split("\n")
    opened: tuple[str, int, int] | None = None  # name, first line, indentation
    for number, line in enumerate(lines):
        indent = len(line) - len(line.lstrip())
        start = re.match(r"\s{0,4}[A-Za-z~].*?([\w:~]+)\(.*", line)
        if opened is None and start and _opens_block(lines, number):
            opened = (start[1], number, indent)
        elif opened and line.startswith(" " * opened[2] + "}"):
            found.append(Sized(f"{name}:{opened[0]}", number - opened[1] + 1, limit))
            opened = None
    return found


def _opens_block(lines: list[str], number: int) -> bool:
    """Whether a signature that starts here ends in `{` before any `;`."""
    if re.match(r"\s*(if|for|while|switch|return|namespace|struct|class|else)\b", lines[number]):
        return False
    for line in lines[number : number + 8]:
        code = line.split("//")[0].rstrip()
        if code.endswith("{"):
            return True
        if ";" in code or "}" in code:
            return False
    return False


def _code_lines(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    total = (node.end_lineno or node.lineno) - node.lineno + 1
    first = node.body[0]
    if ast.get_docstring(node) is None:
        return total
    return total - ((first.end_lineno or first.lineno) - first.lineno + 1)


def _percentile(values: list[int], share: float) -> int:
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]


def main() -> int:
    """Print the report; returns 1 if a file or function is too long."""
    paths = [(path, path.relative_to(ROOT).as_posix()) for path in files(ROOT)]
    sized_files = [
        Sized(name, len(path.read_text(encoding="utf-8").split("\n")) - 1, LONGEST_FILE)
        for path, name in paths
    ]
    sized_functions = [f for path, name in paths for f in functions(path, name)]
    for kind, sized in (("files", sized_files), ("functions", sized_functions)):
        lengths = [s.num_lines for s in sized]
        print(
            f"{kind}: {len(sized)}, median {statistics.median(lengths):g} lines, "
            f"nine in ten up to {_percentile(lengths, 0.9)}, longest {max(lengths)}"
        )
    lengths = [f.num_lines for f in sized_functions]
    if statistics.median(lengths) > MEDIAN_FUNCTION or _percentile(lengths, 0.9) > P90_FUNCTION:
        print(f"functions are aimed at median {MEDIAN_FUNCTION}, nine in ten up to {P90_FUNCTION}")
    too_long = [s for s in sized_files + sized_functions if s.is_too_long]
    for long in sorted(too_long, key=lambda s: -s.num_lines):
        print(f"too long: {long.name}, {long.num_lines} lines, at most {long.limit}")
    return int(bool(too_long))


if __name__ == "__main__":
    sys.exit(main())
