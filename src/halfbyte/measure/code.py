"""The code that a figure was measured with."""

import subprocess
from pathlib import Path

import halfbyte

_OF_RUNS = (".jsonl", ".svg")  # results and plots change while they are measured


def code_name() -> str:
    """The commit of the checkout that the package runs from, else the version of the package."""
    package = Path(halfbyte.__file__).resolve().parent
    checkout = package.parents[1]
    if package.parent.name == "src" and (checkout / ".git").exists():
        try:
            return commit_of(checkout)
        except (OSError, subprocess.CalledProcessError):  # no git, or another's folder
            pass
    return halfbyte.__version__


def commit_of(checkout: Path) -> str:
    """Its commit, `-dirty` if tracked files other than results and plots differ from it.

    Raises:
        OSError: there is no git.
        subprocess.CalledProcessError: it is no checkout.
    """
    head = _git(checkout, "rev-parse", "HEAD").strip()
    changed = _git(checkout, "diff", "--name-only", "HEAD").splitlines()
    is_dirty = any(Path(name).suffix not in _OF_RUNS for name in changed)
    return f"{head}-dirty" if is_dirty else head


def _git(checkout: Path, *words: str) -> str:
    command = ["git", *words]
    run = subprocess.run(command, cwd=checkout, check=True, capture_output=True, text=True)
    return run.stdout
