"""`halfbyte bench sensitivity CHECKPOINT`: what each layer costs at fewer bits, and a mixed map."""

import argparse
import json
from pathlib import Path

EPILOG = """\
examples:
  halfbyte bench sensitivity runs/float/result dev.jsonl -o sensitivity/
  halfbyte bench sensitivity runs/float/result dev.jsonl -o mixed/ \\
    --formats w8a8 w4a8 w2a8 --budget 1

Writes a line for each layer, a plot, and map.yaml: the proposed quantization section for
halfbyte train or quantize.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `halfbyte bench sensitivity`."""
    parser.epilog = EPILOG
    parser.add_argument("checkpoint", type=Path, metavar="CHECKPOINT", help="checkpoint folder")
    parser.add_argument("manifest", type=Path, nargs="+", metavar="MANIFEST", help="JSON lines")
    parser.add_argument("-o", dest="folder", type=Path, required=True, metavar="DIR")
    parser.add_argument(
        "--utterances", type=int, default=100, metavar="N", help="heard (%(default)s)"
    )
    parser.add_argument(
        "--formats",
        nargs="+",
        default=["w8a8", "w4a8"],
        metavar="FORMAT",
        help="to choose from, most bits first (w8a8 w4a8)",
    )
    parser.add_argument(
        "--budget",
        type=float,
        default=1.02,
        metavar="SHARE",
        help="bytes of codes of the map, relative to all layers in the second format (%(default)s)",
    )


def run(options: argparse.Namespace) -> int:
    """Measure what each layer costs at fewer bits; DIR gets lines, a plot and `map.yaml`.

    The last line printed is one JSON object: the proposed map and those beside it.

    Raises:
        UsageError: fewer utterances than one are asked for.
        ManifestError: a manifest with a bad line.
        ConfigError: no checkpoint there, no utterance with labels, or an unknown format.
    """
    from halfbyte.data.manifest import evenly_spread, read_manifest
    from halfbyte.measure.sensitivity import Trial, measure_sensitivity
    from halfbyte.measure.sensitivity_report import table, write_report
    from halfbyte.train.checkpoint import family_of, read_checkpoint_config

    key = family_of(read_checkpoint_config(options.checkpoint)).needs.label_key
    read = (read_manifest(manifest, label_key=key) for manifest in options.manifest)
    utterances = [u for manifest in read for u in manifest if u.text or u.intervals]
    trial = Trial(tuple(options.formats), options.budget)
    chosen = evenly_spread(utterances, options.utterances)
    found = measure_sensitivity(options.checkpoint, chosen, trial)
    write_report(found, options.folder)
    print(table(found))
    print(json.dumps({"proposed": vars(found.proposed), "maps": [vars(m) for m in found.maps]}))
    return 0
