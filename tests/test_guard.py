"""The guard's comparison: each difference in one line, and none where nothing changed."""

import json
import subprocess
import sys
from pathlib import Path

GUARD = Path(__file__).parents[1] / "tools" / "guard.py"
BEFORE = {
    "faces": {"help": {"halfbyte": "usage\n  --srt  subtitles\n"}, "gone": "x"},
    "losses": {"w4a8": {"losses": [3.0, 2.0, 1.0], "weights": 64 * "a"}},
}
AFTER = {
    "faces": {"help": {"halfbyte": "usage\n  --srt  captions\n"}},
    "losses": {"w4a8": {"losses": [3.0, 2.5], "weights": 64 * "b"}},
}


def compare(folder: Path, before: object, after: object) -> tuple[int, list[str]]:
    paths = [folder / "before.json", folder / "after.json"]
    for path, value in zip(paths, (before, after), strict=True):
        path.write_text(json.dumps(value))
    done = subprocess.run(
        [sys.executable, GUARD, "--compare", *paths], capture_output=True, text=True, check=False
    )
    assert done.stderr == ""
    return done.returncode, done.stdout.splitlines()


def test_equal_files_are_said_to_be_equal(tmp_path):
    assert compare(tmp_path, BEFORE, BEFORE) == (0, ["nothing differs"])


def test_every_difference_is_one_line(tmp_path):
    assert compare(tmp_path, BEFORE, AFTER) == (
        1,
        [
            "faces / gone: only before",
            "faces / help / halfbyte: at 1 of 2, '  --srt  subtitles' became '  --srt  captions'",
            "losses / w4a8 / losses: at 1 of 3, 2.0 became 2.5",
            "losses / w4a8 / weights: aaaaaaaaaaaa… became bbbbbbbbbbbb…",
        ],
    )
