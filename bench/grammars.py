"""What a grammar brings: commands heard right with and without it, and its times.

    python bench/grammars.py [M.hb]

Clips of speech_commands/dev, each a segment, heard freely and with the 20 commands as a list; and
the time in which a stream takes 1000 phrases. Lines go to bench/results/grammars.jsonl.
"""

import json
import os
import random
import statistics
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

from origin import RESULTS, ROOT, origin

from halfbyte import Recognizer, StreamOptions
from halfbyte.listen.transcript import as_text
from halfbyte.measure.result_lines import append_line

COMMANDS = (
    "yes no up down left right on off stop go zero one two three four five six seven eight nine"
)
NUM_PHRASES = 1000
NUM_TRIALS = 50


def main(words: list[str]) -> None:
    """Measure and append the lines."""
    recognizer = Recognizer(words[0] if words else None)
    data = Path(os.environ.get("HALFBYTE_DATA") or ROOT.parent / "shared" / "speech")
    compile_ms = milliseconds_to_change(recognizer)
    for mode in ("rescoring", "prefix_beam"):
        for grammar in (None, COMMANDS.replace(" ", "\n")):
            options = StreamOptions(chunk_ms=0, mode=mode, grammar=grammar)
            line = {
                "model": "en-voice" if not words else Path(words[0]).stem,
                "split": "speech_commands/dev",
                "mode": mode,
                "grammar": "none" if grammar is None else "20 commands",
                **heard(recognizer, data / "speech_commands", options),
                "ms_for_1000_phrases": compile_ms,
                **origin(),
            }
            append_line(RESULTS / "grammars.jsonl", line)
            print(json.dumps(line))


def heard(recognizer: Recognizer, folder: Path, options: StreamOptions) -> dict[str, Any]:
    """Clips of commands, of other words and of none: how many, and how many right."""
    counts: Counter[str] = Counter()
    commands = COMMANDS.split()
    for line in (folder / "dev.jsonl").read_text(encoding="utf-8").splitlines():
        clip = json.loads(line)
        text = as_text(recognizer.transcribe(folder / clip["audio_filepath"], options))
        kind = "commands" if clip["text"] in commands else "others" if clip["text"] else "silences"
        is_right = text not in commands if kind == "others" else text == clip["text"]
        counts[kind] += 1
        counts[f"{kind}_right"] += is_right
    return dict(sorted(counts.items()))


def milliseconds_to_change(recognizer: Recognizer) -> float:
    """Median time in which a stream takes another list of 1000 phrases of one to five commands."""
    drawn = random.Random(0)
    stream = recognizer.stream()
    times = []
    for _ in range(NUM_TRIALS):
        phrases = [
            drawn.choices(COMMANDS.split(), k=drawn.randint(1, 5)) for _ in range(NUM_PHRASES)
        ]
        text = "\n".join(map(" ".join, phrases))
        start_s = time.perf_counter()
        stream.set_grammar(text)
        times.append(1000 * (time.perf_counter() - start_s))
    return round(statistics.median(times), 2)


if __name__ == "__main__":
    main(sys.argv[1:])
