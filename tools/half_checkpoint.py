"""Writes a checkpoint folder anew with weights in half precision, for later training to start from.

python tools/half_checkpoint.py runs/en-voice/w4a8/result models/en-voice
"""

import sys
from pathlib import Path

from halfbyte.train.checkpoint import load_checkpoint, save_checkpoint


def main() -> None:
    """Copy the checkpoint of the first argument to the folder of the second."""
    if len(sys.argv) != 3:
        sys.exit("usage: python tools/half_checkpoint.py CHECKPOINT FOLDER")
    config, tokenizer, model = load_checkpoint(Path(sys.argv[1]))
    config.distillation.teacher = ""  # a folder of this machine
    save_checkpoint(Path(sys.argv[2]), config, tokenizer, model.state_dict(), half=True)


if __name__ == "__main__":
    main()
