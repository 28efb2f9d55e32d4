"""Writes the result tables of README.md and of pages of docs/ from bench/results.

    python tools/readme_table.py            write them
    python tools/readme_table.py --check    exit 1 if a table is not what the results give

A table stands between `<!-- results: NAME -->` and `<!-- end of results -->`. A result line is
one JSON object; bench/README.md says what its keys mean. Of lines with the same model,
number format, split, chunk and mode the last one counts.
"""

import hashlib
import re
import sys
from pathlib import Path

from arithmetic_table import arithmetic_table
from equality_table import equality_table
from model_tables import (
    background_table,
    card,
    full_table,
    non_inferiority_table,
    read_results,
    speed_table,
    summary_table,
    words_table,
)
from precision_tables import (
    grid_comparisons,
    grid_table,
    sensitivity_table,
    synthetic_table,
    training_speed_table,
)
from runtime_tables import encoder_table, kernels_table
from server_tables import long_audio_table, server_table, soak_table

from halfbyte.measure.result_lines import read_lines

ROOT = Path(__file__).resolve().parent.parent
RESULTS = Path("bench/results/en-voice.jsonl")
NON_INFERIORITY = Path("bench/results/non-inferiority.jsonl")
BACKGROUND = Path("bench/results/background.jsonl")
SPEED = Path("bench/results/speed.jsonl")
ARITHMETICS = Path("bench/results/arithmetics.jsonl")
EQUALITY = Path("bench/results/equality.jsonl")
WORDS = Path("bench/results/words.jsonl")
LONG_AUDIO = Path("bench/results/long-audio.jsonl")
KERNELS = Path("bench/results/kernels.jsonl")
ENCODER = Path("bench/results/encoder.jsonl")
SERVER = Path("bench/results/server.jsonl")
SOAK = Path("bench/results/soak.jsonl")
GRID = Path("bench/quantization/commands.yaml")
SENSITIVITY = Path("bench/quantization/sensitivity/sensitivity.jsonl")
SYNTHETIC = Path("bench/results/synthetic.jsonl")
TRAINING_SPEED = Path("bench/results/training-speed.jsonl")
PAGES = {
    "README.md": ["summary"],
    "docs/models.md": ["background", "every line", "non-inferiority", "speed", "equality"],
    "docs/tutorial.md": ["words"],
    "docs/precision.md": ["grid", "grid comparisons", "sensitivity", "synthetic", "training speed"],
    "docs/speed.md": ["kernels", "encoder", "arithmetics"],
    "docs/limits.md": ["long audio"],
    "docs/server.md": ["server", "soak"],
}
MODEL = Path("src/halfbyte/assets/en-voice.hb")
CARD = MODEL.with_suffix(".results.jsonl")  # what the server's page shows


def fill(page: str, name: str, table: str) -> str:
    """The page with the table of that name replaced.

    Raises:
        ValueError: the page has no place for it.
    """
    start, end = f"<!-- results: {name} -->", "<!-- end of results -->"
    pattern = re.compile(re.escape(start) + ".*?" + re.escape(end), re.DOTALL)
    if not pattern.search(page):
        raise ValueError(f"no table {name!r}; expected a line {start} and later {end}")
    return pattern.sub(lambda _: f"{start}\n\n{table}\n\n{end}", page, count=1)


def render(root: Path) -> dict[Path, str]:
    """Every page with its table, and the card, by path."""
    lines = read_results(root / RESULTS)
    tables = {
        "summary": summary_table(lines),
        "background": background_table(read_lines(root / BACKGROUND)),
        "every line": full_table(lines),
        "non-inferiority": non_inferiority_table(read_lines(root / NON_INFERIORITY)),
        "speed": speed_table(read_lines(root / SPEED)),
        "arithmetics": arithmetic_table(read_lines(root / ARITHMETICS)),
        "equality": equality_table(read_lines(root / EQUALITY)),
        "grid": grid_table(root / GRID),
        "grid comparisons": grid_comparisons(root / GRID),
        "sensitivity": sensitivity_table(read_lines(root / SENSITIVITY)),
        "synthetic": synthetic_table(read_lines(root / SYNTHETIC)),
        "training speed": training_speed_table(read_lines(root / TRAINING_SPEED)),
        "kernels": kernels_table(read_lines(root / KERNELS)),
        "encoder": encoder_table(read_lines(root / ENCODER)),
        "words": words_table(read_lines(root / WORDS)),
        "long audio": long_audio_table(read_lines(root / LONG_AUDIO)),
        "server": server_table(read_lines(root / SERVER)),
        "soak": soak_table(read_lines(root / SOAK)),
    }
    model_sha256 = hashlib.sha256((root / MODEL).read_bytes()).hexdigest()
    pages = {root / CARD: card(lines, model_sha256)}
    for page, names in PAGES.items():
        text = (root / page).read_text(encoding="utf-8")
        for name in names:
            text = fill(text, name, tables[name])
        pages[root / page] = text
    return pages


def main(arguments: list[str]) -> int:
    """Write the pages, or only compare; returns the exit status."""
    differing = [
        (path, text)
        for path, text in render(ROOT).items()
        if not path.exists() or path.read_text(encoding="utf-8") != text
    ]
    if arguments == ["--check"]:
        for path, _ in differing:
            print(f"{path.name}: its table is not what {RESULTS} gives; run make readme")
        return int(bool(differing))
    for path, text in differing:
        path.write_text(text, encoding="utf-8")
        print(f"wrote {path.name}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
