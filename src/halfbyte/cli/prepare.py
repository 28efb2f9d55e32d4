"""`halfbyte prepare`: any corpus layout to checked manifests."""

import argparse
import sys
from pathlib import Path

# Names of halfbyte.data.importers, which the help must not import; a test compares.
FORMATS = (
    "auto",
    "kaldi",
    "shar",
    "huggingface",
    "librispeech",
    "commonvoice",
    "aishell",
    "wenet",
    "lhotse",
    "nemo",
    "csv",
)
EPILOG = """\
examples:
  halfbyte prepare recordings/ -o data/              a folder with a CSV file, or another layout
  halfbyte prepare LibriSpeech/ -o data/ --lower-case
  halfbyte prepare shards/ -o data/ --format wenet --skip-bad
  halfbyte prepare my.jsonl -o data/ --json | jq .findings

Writes one manifest per split (train.jsonl, …), report.txt, report.json and report.png to DIR.
Audio files stay where they are; segments of long recordings and audio in archives are written to
DIR/audio as FLAC. An interrupted run continues with the same command. Commands inside a corpus
(pipes in Kaldi's wav.scp) are never executed.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `halfbyte prepare`."""
    parser.epilog = EPILOG
    parser.add_argument("source", type=Path, metavar="SOURCE", help="folder or file of a corpus")
    parser.add_argument("-o", dest="folder", type=Path, required=True, metavar="DIR")
    parser.add_argument("--format", default="auto", choices=FORMATS, help="layout of the source")
    parser.add_argument(
        "--skip-bad",
        action="store_true",
        help="leave out bad lines and report them, instead of stopping",
    )
    parser.add_argument("--lower-case", action="store_true", help="write texts in lower case")
    parser.add_argument(
        "--characters",
        default="",
        metavar="SET",
        help="characters that texts may contain; others are reported",
    )
    parser.add_argument("--json", action="store_true", help="print the report as a JSON object")


def run(options: argparse.Namespace) -> int:
    """Write manifests, report and plot into DIR, and print the report.

    Without matplotlib all but the plot is written, and standard error says so.

    Raises:
        ManifestError: a bad line without `--skip-bad`, or nothing but bad lines.
        UsageError: no layout is recognised, or DIR holds the source.
    """
    from halfbyte.data.importers import choose_importer
    from halfbyte.data.plot import plot_report
    from halfbyte.data.prepare import PrepareOptions, prepare
    from halfbyte.errors import how_to_install
    from halfbyte.files import write_whole

    importer = choose_importer(options.source, options.format)
    how = PrepareOptions(options.skip_bad, options.lower_case, options.characters)
    report = prepare(options.source, options.folder, importer, how)
    write_whole(options.folder / "report.json", report.as_json().encode())
    write_whole(options.folder / "report.txt", report.as_text().encode())
    try:
        plot_report(report, options.folder / "report.png")
    except ModuleNotFoundError as error:
        print(f"no report.png without {error.name}; {how_to_install('data')}", file=sys.stderr)
    print(report.as_json() if options.json else report.as_text(), end="")
    return 0
