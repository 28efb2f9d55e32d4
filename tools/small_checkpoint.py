"""Writes a checkpoint folder anew with smaller weights, for later training to start from.

python tools/small_checkpoint.py float16 runs/en-voice/w4a8/result models/en-voice
python tools/small_checkpoint.py int8 runs/whisper/result models/en-voice-whisper
"""

import sys
from pathlib import Path

import torch

from halfbyte.train.checkpoint import load_checkpoint, save_checkpoint
from halfbyte.train.config import DataConfig


def main() -> None:
    """Copy a checkpoint to a folder, its weights in another type."""
    if len(sys.argv) != 4 or sys.argv[1] not in ("float16", "int8"):
        sys.exit("usage: python tools/small_checkpoint.py float16|int8 CHECKPOINT FOLDER")
    stored, source, folder = getattr(torch, sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3])
    config, tokenizer, model = load_checkpoint(source)
    config.distillation.teacher, config.data.cache = "", DataConfig().cache  # of this machine
    save_checkpoint(folder, config, tokenizer, model.state_dict(), stored)


if __name__ == "__main__":
    main()
