"""Give a checkpoint the thresholds that keep its false alarms below half a one an hour.

halfbyte eval M.hb dev-words.jsonl --negatives dev-others.jsonl --json > dev.json
python recipes/keyword/thresholds.py CHECKPOINT dev.json
"""

import json
import sys
from pathlib import Path

from halfbyte.train.checkpoint import find_checkpoint, load_checkpoint, save_checkpoint
from halfbyte.train.config import with_overrides

RATE = "at_0.5"


def set_thresholds(checkpoint: Path, measured: Path) -> None:
    """Write the checkpoint anew with `model.thresholds` of a result of `halfbyte eval`."""
    keywords = json.loads(measured.read_text())["keywords"]
    thresholds = {label: min(1.0, one[RATE]["threshold"]) for label, one in keywords.items()}
    config, vocabulary, model = load_checkpoint(checkpoint)
    config = with_overrides(config, (f"model.thresholds={json.dumps(thresholds)}",))
    save_checkpoint(find_checkpoint(checkpoint), config, vocabulary, model.state_dict())


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    set_thresholds(Path(sys.argv[1]), Path(sys.argv[2]))
