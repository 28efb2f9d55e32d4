"""How many words are heard after seconds of background; a line in bench/results.

    python bench/background.py src/halfbyte/assets/en-voice.hb

Before each of some clips of speech_commands/test stand so many seconds of zeros, of white noise at
-60 dBFS, or of the corpus's own recordings of background, in one stream of chunks of 640 ms.
"""

import json
import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from origin import RESULTS, ROOT, origin

from halfbyte.data.audio import read_audio
from halfbyte.listen.events import finals
from halfbyte.listen.options import StreamOptions
from halfbyte.listen.recognizer import Recognizer
from halfbyte.listen.transcript import as_text
from halfbyte.measure.result_lines import append_line

RATE_HZ = 16000
CHUNK_MS = 640
SECONDS = (0, 1, 2, 3, 5, 8)
CLIPS_OF_A_WORD = 10
NUM_BACKGROUNDS = 12
NOISE = 1e-3  # standard deviation of -60 dBFS
Samples = NDArray[np.float32]


def main(model: Path) -> None:
    """Recognise, print, append the line."""
    recognizer = Recognizer(model)
    clips, background = read_corpus()
    longest = max(SECONDS) * RATE_HZ
    noise = np.random.default_rng(0).standard_normal(longest) * NOISE
    leads: dict[str, NDArray[Any]] = {
        "zeros": np.zeros(longest),
        "white noise": noise,
        "recorded": background[:longest],
    }
    right: dict[str, dict[str, int]] = {}
    for kind, lead in leads.items():
        right[kind] = {}
        for seconds in SECONDS:
            start = lead[: seconds * RATE_HZ].astype(np.float32)
            heard = [text_of(recognizer, np.concatenate([start, clip])) for _, clip in clips]
            right[kind][str(seconds)] = sum(
                text == word for text, (word, _) in zip(heard, clips, strict=True)
            )
        print(f"{kind:12} {right[kind]} of {len(clips)}", flush=True)
    facts = {"model": model.stem, "clips": len(clips), "chunk_ms": CHUNK_MS}
    append_line(RESULTS / "background.jsonl", facts | {"right": right} | origin())


def read_corpus() -> tuple[list[tuple[str, Samples]], Samples]:
    """The first clips of every word, and recordings of background, one behind the other."""
    data = Path(os.environ.get("HALFBYTE_DATA") or ROOT.parent / "shared" / "speech")
    folder = data / "speech_commands"
    entries: list[dict[str, Any]] = [json.loads(text) for text in (folder / "test.jsonl").open()]
    words: dict[str, list[Samples]] = {}
    background: list[Samples] = []
    for entry in entries:
        samples = words.setdefault(entry["text"], []) if entry["text"] else background
        wanted = CLIPS_OF_A_WORD if entry["text"] else NUM_BACKGROUNDS
        if len(samples) < wanted and (entry["text"] or entry["label"] == "silence"):
            samples.append(read_audio(folder / entry["audio_filepath"], RATE_HZ))
    clips = [(word, clip) for word in sorted(words) for clip in words[word]]
    return clips, np.concatenate(background)


def text_of(recognizer: Recognizer, samples: Samples) -> str:
    """What one stream hears."""
    stream = recognizer.stream(StreamOptions(chunk_ms=CHUNK_MS))
    events = stream.accept(samples) + stream.finish()
    return as_text(finals(events))


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(Path(sys.argv[1]))
