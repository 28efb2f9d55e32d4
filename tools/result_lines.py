"""Lines of bench/results, and how their figures are written in a table."""

from halfbyte.measure.result_lines import Line

NOT_MEASURED = "Not measured yet."


def table(head: list[str], rows: list[list[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)


def origin(lines: list[Line]) -> str:
    machines = dict.fromkeys(line["machine"] for line in lines)
    commits = dict.fromkeys(_short(line["commit"]) for line in lines)
    return f"Measured on {'; '.join(machines)}; commit {', '.join(commits)}."


def _short(commit: str) -> str:
    """Seven digits, and that there were changes beside the commit."""
    return commit[:7] + ("-dirty" if commit.endswith("-dirty") else "")


def chunk(chunk_ms: int) -> str:
    return f"{chunk_ms} ms" if chunk_ms else "whole segment"


def false_words(line: Line) -> str:
    """Words heard where nothing is said."""
    silent = line["silent_utterances"]
    return f"{line['false_words']} in {silent} clips" if silent else "-"


def percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def megabytes(size_bytes: int) -> str:
    return f"{size_bytes / 1e6:.1f} MB"
