"""How good recipes/words becomes in how much processor time; a line in bench/results/words.jsonl.

    python bench/words.py recordings runs/words [key=value ...]

`recordings` is what recipes/words/recordings.py lays out. README.md says what the line holds.
"""

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import yaml
from origin import RESULTS, ROOT, origin

from halfbyte.measure.result_lines import append_line

BUSY_SHARE = 0.9  # of the time that one process could have had, below which others were at work


def main(words: list[str]) -> None:
    """Run the recipe, measure, append the line."""
    if len(words) < 2:
        sys.exit(__doc__)
    recordings, run, *overrides = words
    start_s = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        command = [str(ROOT / "recipes" / "run.sh"), "words", recordings, run, *overrides]
        subprocess.run(command, check=True, env=os.environ | {"PATH": path_with_verbs(folder)})
    wall_s = time.monotonic() - start_s
    cpu_s = child_cpu_s()
    line = result_line(Path(run), cpu_s, is_quiet=cpu_s > BUSY_SHARE * wall_s)
    append_line(RESULTS / "words.jsonl", line)
    print(json.dumps(line, ensure_ascii=False))


def path_with_verbs(folder: str) -> str:
    """PATH on which `halfbyte` is this Python's package, installed or not."""
    program = Path(folder) / "halfbyte"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m halfbyte "$@"\n')
    program.chmod(0o755)
    return f"{folder}{os.pathsep}{os.environ['PATH']}"


def child_cpu_s() -> float:
    """Processor seconds of all processes that have been waited for."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def result_line(run: Path, train_cpu_s: float, is_quiet: bool) -> dict[str, Any]:
    """What the run gave on its test split."""
    config = yaml.safe_load((run / "train" / "result" / "config.yaml").read_text(encoding="utf-8"))
    command = [sys.executable, "-m", "halfbyte", "eval", str(run / "words.hb")]
    command += [str(run / "data" / "test.jsonl"), "--json"]
    heard = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
    keys = ("bytes", "utterances", "words", "wer", "sentence_accuracy")
    silence = ("silent_utterances", "false_words", "audio_s")
    return {
        "model": config["name"],
        "number_format": config["quantization"]["default"],
        "corpus": "speech_commands",
        "split": "test",
        "epochs": config["loop"]["epochs"],
        "train_cpu_s": round(train_cpu_s),
        "is_quiet": is_quiet,
        **{key: heard[key] for key in (*keys, *silence)},
        **origin(),
    }


if __name__ == "__main__":
    main(sys.argv[1:])
