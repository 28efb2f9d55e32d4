"""Hooks of `make docs`: pages made from the code, and links that lead out of docs/.

The command-line page is every verb's `--help`. Pages of the repository outside docs/ that ours
link to (recipes, benchmarks, notices) become pages of the site under `repository/`; a link to
any other file outside docs/ becomes plain text.
"""

import os
import posixpath
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

from halfbyte.cli import VERBS

ROOT = Path(__file__).resolve().parent.parent
COMMAND_LINE = "reference/command-line.md"
REPOSITORY = "repository"
ADOPTED = ("recipes/*/README.md", "bench/README.md", "CONTRIBUTING.md", "CHANGELOG.md", "NOTICE")
VERBS_IN_USAGE = re.compile(r"^usage:[^\n]*\{([\w,-]+)\} \.\.\.$", re.MULTILINE)
LINK = re.compile(r"(?<!!)\[([^\]]+)\]\(([^)\s#:]+)(#[^)\s]*)?\)")


def on_files(files: Files, config: Any) -> Files:
    """Add the pages that no file in docs/ holds."""
    files.append(File.generated(config, COMMAND_LINE, content=command_line_page()))
    for path in adopted():
        files.append(File.generated(config, _site_path(path), content=_page_text(path)))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Point links at where their pages stand in the site."""
    here = _repository_path(page.file.src_uri)
    return LINK.sub(lambda link: _rewritten(link, here, page.file.src_uri), markdown)


def adopted() -> list[str]:
    """Pages outside docs/ that the site shows, as paths from the repository's root."""
    return [p.relative_to(ROOT).as_posix() for glob in ADOPTED for p in sorted(ROOT.glob(glob))]


def command_line_page() -> str:
    """Every verb with its help, as the terminal shows it."""
    parts = ["# Command line", "`halfbyte VERB --help` prints what stands here."]
    for verb, help_text in _helps([]):
        parts += [f"## {' '.join(verb)}", f"```text\n{help_text.rstrip()}\n```"]
    return "\n\n".join(parts) + "\n"


def _helps(verb: list[str]) -> list[tuple[list[str], str]]:
    """The help of each verb below this one, and below those."""
    shown = _help(verb)
    inner = VERBS_IN_USAGE.search(shown)
    names = (inner[1].split(",") if inner else []) if verb else list(VERBS)
    own = [(verb, shown)] if verb else []
    return own + [pair for name in names for pair in _helps([*verb, name])]


def _help(verb: list[str]) -> str:
    command = [sys.executable, "-m", "halfbyte", *verb, "--help"]
    environment = {**os.environ, "COLUMNS": "90"}
    return subprocess.run(
        command, env=environment, check=True, capture_output=True, text=True
    ).stdout


def _page_text(path: str) -> str:
    text = (ROOT / path).read_text(encoding="utf-8")
    return text if path.endswith(".md") else f"# {path}\n\n```text\n{text}\n```\n"


def _site_path(path: str) -> str:
    """Where the site has a file of the repository; empty: nowhere."""
    if path.startswith("docs/"):
        return path.removeprefix("docs/")
    if path in adopted():
        return f"{REPOSITORY}/{path}" if path.endswith(".md") else f"{REPOSITORY}/{path}.md"
    return ""


def _repository_path(site_path: str) -> str:
    if site_path.startswith(f"{REPOSITORY}/"):
        return site_path.removeprefix(f"{REPOSITORY}/")
    return f"docs/{site_path}"


def _rewritten(link: re.Match[str], here: str, site_path: str) -> str:
    text, target, anchor = link[1], link[2], link[3] or ""
    wanted = _site_path(posixpath.normpath(posixpath.join(posixpath.dirname(here), target)))
    if not wanted:
        return text
    return f"[{text}]({posixpath.relpath(wanted, posixpath.dirname(site_path) or '.')}{anchor})"
