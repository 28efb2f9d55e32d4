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

DIR gets one manifest a split (train.jsonl, …), report.txt, report.json and report.png. Recordings
that are files stay where they are; parts of recordings and audio in archives become FLAC files in
DIR/audio. The same command goes on where a call was interrupted. Commands in corpora (pipes of
Kaldi) are never run.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `halfbyte prepare`."""
    parser.epilog = EPILOG
    parser.add_argument("source", type=Path, metavar="SOURCE", help="folder or file of a corpus")
    parser.add_argument("-o", dest="folder", type=Path, required=True, metavar="DIR")
    parser.add_argument("--format", default="auto", choices=FORMATS, help="layout of the source")
    parser.add_argument("--skip-bad", action="store_true", help="go on after bad lines, count them")
    parser.add_argument("--lower-case", action="store_true", help="write texts in lower case")
    parser.add_argument(
        "--characters", default="", metavar="SET", help="what texts may hold besides the space"
    )
    parser.add_argument("--json", action="store_true", help="the report as one JSON object")


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
