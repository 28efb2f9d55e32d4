"""`halfbyte export`: checkpoint folder to ONNX folder."""

import argparse
import json
from pathlib import Path

EPILOG = """\
examples:
  halfbyte export runs/en-voice/result -o onnx/
  halfbyte export models/en-voice -o onnx/ --card recipes/en-voice/card.json
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `halfbyte export`."""
    parser.epilog = EPILOG
    parser.add_argument("checkpoint", type=Path, metavar="CHECKPOINT", help="checkpoint folder")
    parser.add_argument("-o", dest="folder", type=Path, required=True, metavar="DIR")
    parser.add_argument(
        "--card",
        type=Path,
        metavar="FILE",
        help="JSON file with what the model card says (licence, attribution, …)",
    )


def run(options: argparse.Namespace) -> int:
    """Write the ONNX folder of a checkpoint, all its files or none, and print its path.

    Raises:
        ConfigError: no checkpoint there.
        UsageError: a card that is no JSON object.
    """
    from halfbyte.errors import UsageError
    from halfbyte.export.onnx_model import export

    card = {}
    if options.card:
        try:
            card = json.loads(options.card.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise UsageError(f"cannot read card {options.card}: {error}") from error
        if not isinstance(card, dict):
            raise UsageError(f"card {options.card} is no JSON object; expected {{key: value, …}}")
    export(options.checkpoint, options.folder, card)
    print(options.folder)
    return 0
