"""Lay out Speech Commands as a newcomer's own recordings would lie: a folder with one CSV file.

    python recipes/words/recordings.py SPEECH FOLDER

SPEECH holds `speech_commands/` as recipes/en-voice/README.md describes it.
"""

import csv
import shutil
import sys
from pathlib import Path

from halfbyte.data.manifest import read_manifest

SPLITS = ("train", "dev", "test")


def lay_out(corpus: Path, folder: Path) -> None:
    """Copy the recordings of a corpus into one folder and write `words.csv` beside them."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = []
    for split in SPLITS:
        for utterance in read_manifest(corpus / f"{split}.jsonl"):
            name = f"{utterance.id}{utterance.audio_path.suffix}"
            if not (folder / name).exists():
                shutil.copyfile(utterance.audio_path, folder / name)
            rows.append((name, utterance.text, utterance.speaker, split))
    with (folder / "words.csv").open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([("file", "text", "speaker", "split"), *rows])


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    lay_out(Path(sys.argv[1]) / "speech_commands", Path(sys.argv[2]))
