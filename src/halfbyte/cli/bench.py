"""`halfbyte bench WHAT`: measure on this machine; one file a benchmark."""

import argparse
import importlib

_BENCHMARKS = {
    "encoder": "one chunk of a 34.6 M encoder in the engine and in other runtimes",
    "kernels": "one linear layer in every kernel and in other runtimes",
    "quantization": "word errors, bytes and speed of number formats and methods on one recipe",
    "sensitivity": "what each layer costs at fewer bits, and a mixed map",
    "server": "how many real-time streams a server holds",
}

EPILOG = """\
examples:
  halfbyte bench quantization bench/quantization/commands.yaml
  halfbyte bench server

halfbyte bench WHAT --help shows examples of a benchmark.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Benchmarks and their options."""
    parser.epilog = EPILOG
    benchmarks = parser.add_subparsers(dest="what", required=True, metavar="WHAT")
    for name, meaning in _BENCHMARKS.items():
        benchmark = benchmarks.add_parser(
            name, help=meaning, formatter_class=argparse.RawDescriptionHelpFormatter
        )
        importlib.import_module(f"halfbyte.cli.bench_{name}").add_arguments(benchmark)


def run(options: argparse.Namespace) -> int:
    """Run the benchmark that was named; returns its exit status."""
    status: int = importlib.import_module(f"halfbyte.cli.bench_{options.what}").run(options)
    return status
