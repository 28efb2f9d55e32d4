"""`halfbyte compile`: ONNX folder to a .hb model file."""

import argparse
from pathlib import Path

EPILOG = """\
examples:
  halfbyte compile onnx/ -o en-voice.hb

The folder is what `halfbyte export` wrote: encoder.onnx, decoder.onnx, model.json and a test
vector, which the file keeps so that `halfbyte info` can check it on the device.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `halfbyte compile`."""
    parser.epilog = EPILOG
    parser.add_argument("folder", type=Path, metavar="ONNX", help="folder of ONNX files")
    parser.add_argument("-o", dest="path", type=Path, required=True, metavar="M.hb")


def run(options: argparse.Namespace) -> int:
    """Write the model file of an ONNX folder, whole or not at all, and print its size in bytes.

    Raises:
        UsageError: ONNX holds no exported model.
        ModelFileError: an operator or a shape that the engine cannot run.
    """
    from halfbyte.export.onnx_model import compile_folder

    compile_folder(options.folder, options.path)
    print(f"{options.path}: {options.path.stat().st_size:,} bytes")
    return 0
