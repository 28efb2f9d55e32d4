"""`halfbyte train`: configuration in, checkpoint folder out."""

import argparse
from pathlib import Path

from halfbyte.cli import INTERRUPTED, print_mistake

TERMINATED = 143  # as a shell has it of a program that SIGTERM ended
EPILOG = """\
examples:
  halfbyte train recipes/en-voice/config.yaml --run runs/en-voice
  halfbyte train config.yaml --run runs/float quantization.default=float32
  halfbyte train config.yaml --run runs/two loop.devices=2 loop.epochs=5
  halfbyte train config.yaml --run runs/more --from models/en-voice

An interrupted run continues with the same command.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `halfbyte train`."""
    parser.epilog = EPILOG
    parser.usage = (
        "halfbyte train CONFIG --run DIR [--from CHECKPOINT] [--skip-bad] [key=value ...]"
    )
    parser.add_argument("config", type=Path, metavar="CONFIG", help="YAML file")
    parser.add_argument(
        "--run",
        type=Path,
        required=True,
        metavar="DIR",
        help="folder for checkpoints and the result",
    )
    parser.add_argument(
        "--from",
        dest="start_from",
        type=Path,
        metavar="CHECKPOINT",
        help="start from the weights and tokens of this checkpoint folder, as far as they fit",
    )
    parser.add_argument(
        "--skip-bad",
        action="store_true",
        help="leave out bad lines of manifests instead of stopping",
    )


def run(options: argparse.Namespace) -> int:
    """Train, or go on where a run was interrupted, and print the checkpoint folder of the result.

    Returns:
        0; 130 after Ctrl-C, 143 after SIGTERM.

    Raises:
        ConfigError: an unknown or ill-typed key, a value out of its range, no checkpoint at
            `--from`, or one of which nothing fits.
        ManifestError: a bad line, unless `--skip-bad`.
    """
    from halfbyte.train.config import load_config
    from halfbyte.train.run import train

    skip = ["data.skip_bad=true"] if options.skip_bad else []
    config = load_config(options.config, options.overrides + skip)
    try:
        result = train(config, options.run, options.start_from)
    except KeyboardInterrupt as end:
        return say_stopped("halfbyte train", options.run, end)
    print(result)
    return 0


def say_stopped(program: str, folder: Path, end: KeyboardInterrupt) -> int:
    """Say how to continue a run that Ctrl-C or SIGTERM ended; returns the exit status."""
    from halfbyte.train.callbacks import Terminated

    how = "the same command continues from what is saved there"
    print_mistake(program, f"stopped; {folder} holds the run: {how}")
    return TERMINATED if isinstance(end, Terminated) else INTERRUPTED
