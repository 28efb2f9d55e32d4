"""`halfbyte quantize`: post-training quantisation of a float checkpoint."""

import argparse
from pathlib import Path

EPILOG = """\
examples:
  halfbyte quantize runs/float/result -o runs/w4a8 --calibration dev.jsonl
  halfbyte quantize runs/float/result -o runs/two --calibration dev.jsonl quantization.default=w2a8
  halfbyte quantize runs/float/result -o runs/clipped --calibration dev.jsonl --observer percentile

The result is a checkpoint: export and compile it, or fine-tune it (halfbyte train --from).
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `halfbyte quantize`."""
    parser.epilog = EPILOG
    parser.usage = (
        "halfbyte quantize CHECKPOINT -o DIR --calibration MANIFEST [options] "
        "[quantization.key=value ...]"
    )
    parser.add_argument(
        "checkpoint", type=Path, metavar="CHECKPOINT", help="folder of a float32 model"
    )
    parser.add_argument("-o", dest="folder", type=Path, required=True, metavar="DIR")
    parser.add_argument(
        "--calibration",
        type=Path,
        action="append",
        required=True,
        metavar="MANIFEST",
        help="recordings with text, JSON lines; may be given again",
    )
    parser.add_argument(
        "--utterances", type=int, default=64, metavar="N", help="how many to use (%(default)s)"
    )
    parser.add_argument("--observer", default="mse", help="minmax, percentile or mse (%(default)s)")


def run(options: argparse.Namespace) -> int:
    """Write the quantised checkpoint into DIR and print its path.

    Raises:
        UsageError: no folder there, DIR is that folder, or a key that quantize does not take.
        ConfigError: no float32 checkpoint there, or an unknown or ill-typed key.
        ManifestError: a bad line of a calibration manifest.
    """
    from halfbyte.data.manifest import read_manifest
    from halfbyte.errors import UsageError
    from halfbyte.quant.methods import Methods
    from halfbyte.train.checkpoint import family_of, read_checkpoint_config
    from halfbyte.train.config import with_overrides
    from halfbyte.train.post_training import Calibration, quantize_checkpoint

    if not options.checkpoint.is_dir():
        raise UsageError(
            f"no checkpoint folder at {options.checkpoint}; expected a float32 model's"
        )
    if options.folder.resolve() == options.checkpoint.resolve():
        raise UsageError(f"-o {options.folder} is the float32 model itself; name another folder")
    for override in options.overrides:
        if not override.startswith("quantization."):
            raise UsageError(f"quantize accepts only keys of quantization; got {override!r}")
        if override.startswith("quantization.weights="):
            raise UsageError(
                f"{override!r} cannot be set: --observer chooses the scales of weights, and the "
                "result holds them as learned steps (lsq)"
            )
    overrides = ["quantization.default=w4a8", *options.overrides]
    config = read_checkpoint_config(options.checkpoint)
    quantization = with_overrides(config, overrides).quantization
    Methods("lsq", quantization.activations, quantization.group)  # refuses unknown names
    key = family_of(config).needs.label_key
    utterances = [u for path in options.calibration for u in read_manifest(path, label_key=key)]
    calibration = Calibration(utterances, options.utterances, options.observer)
    quantize_checkpoint(options.checkpoint, options.folder, quantization, calibration)
    print(options.folder)
    return 0
