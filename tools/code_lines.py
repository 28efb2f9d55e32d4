"""Counts the lines of code of commits: comments, docstrings and blank lines left out.

    python tools/code_lines.py b412329             that commit beside the working tree's HEAD
    python tools/code_lines.py b412329 main~3      two commits

Both are formatted with this checkout's ruff and clang-format settings first, so that a change of
format is no change of length.
"""

import ast
import io
import re
import subprocess
import sys
import tarfile
import tempfile
import tokenize
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CPP = {".cc", ".h", ".c"}
LANGUAGES = dict.fromkeys(CPP, "C++") | {".py": "Python", ".js": "JavaScript"}
NO_CODE = {
    tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT,
    tokenize.ENCODING, tokenize.ENDMARKER,
}  # fmt: skip
# Strings are matched so that what looks like a comment within one is none.
C_TOKENS = re.compile(
    r'R"([^(\s]*)\(.*?\)\1"|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'|//[^\n]*|/\*.*?\*/',
    re.DOTALL,
)


def python_lines(text: str) -> int:
    """Lines of Python with a token that is code, less those of docstrings."""
    lines: set[int] = set()
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type not in NO_CODE:
            lines.update(range(token.start[0], token.end[0] + 1))
    for node in ast.walk(ast.parse(text)):
        value = node.value if isinstance(node, ast.Expr) else None
        if isinstance(value, ast.Constant) and isinstance(value.value, str):
            lines -= set(range(value.lineno, (value.end_lineno or value.lineno) + 1))
    return len(lines)


def c_lines(text: str) -> int:
    """Lines of C, C++ or JavaScript with anything beside comments."""

    def kept(found: re.Match[str]) -> str:
        is_comment = found[0].startswith(("//", "/*"))
        return "\n" * found[0].count("\n") if is_comment else found[0]

    return sum(bool(line.strip()) for line in C_TOKENS.sub(kept, text).split("\n"))


def count(folder: Path) -> Counter[tuple[str, str]]:
    """Lines of code by top folder and language."""
    lines: Counter[tuple[str, str]] = Counter()
    for path in sorted(folder.rglob("*")):
        language = LANGUAGES.get(path.suffix)
        if language and path.is_file():
            text = path.read_text(encoding="utf-8")
            length = python_lines(text) if language == "Python" else c_lines(text)
            lines[path.relative_to(folder).parts[0], language] += length
    return lines


def count_commit(commit: str) -> Counter[tuple[str, str]]:
    """Lines of code of a commit, formatted as this checkout formats."""
    archive = subprocess.run(["git", "archive", commit], cwd=ROOT, check=True, capture_output=True)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with tarfile.open(fileobj=io.BytesIO(archive.stdout)) as files:
            files.extractall(folder, filter="data")
        for settings in (".clang-format", "pyproject.toml"):
            (folder / settings).write_bytes((ROOT / settings).read_bytes())
        cpp = [str(path) for path in folder.rglob("*") if path.suffix in CPP]
        subprocess.run(["clang-format", "-i", *cpp], check=True)
        subprocess.run(["ruff", "format", "--quiet", name], check=True)
        return count(folder)


def main() -> None:
    """Print lines of code by folder and language for both commits."""
    if len(sys.argv) not in (2, 3):
        sys.exit(__doc__)
    commits = [*sys.argv[1:], "HEAD"][:2]
    before, after = map(count_commit, commits)
    print(f"{'lines of code':24}{commits[0]:>12}{commits[1]:>12}{'change':>9}")
    for key in sorted(before | after):
        row = (before[key], after[key])
        print(f"{' '.join(key):24}{row[0]:12}{row[1]:12}{row[1] - row[0]:+9}")
    totals = before.total(), after.total()
    print(f"{'all':24}{totals[0]:12}{totals[1]:12}{totals[1] - totals[0]:+9}")


if __name__ == "__main__":
    main()
