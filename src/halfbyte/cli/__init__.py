"""The command line: `halfbyte VERB …`, one file a verb."""

import argparse
import importlib
import sys

from halfbyte.errors import HalfbyteError

_VERBS = {
    "transcribe": "audio to text, words as they come or at the end",
    "eval": "word error rate, speed and size of a model on a manifest",
    "train": "train a model, in float or natively in 4 bits",
    "export": "checkpoint to ONNX",
    "compile": "ONNX to a .hb model file",
    "info": "what is inside a .hb model file",
}
_TAKE_OVERRIDES = {"train"}  # verbs with `key=value` words, anywhere among the options
_EXTRAS = {"transcribe": "audio"}  # optional dependencies that a verb may miss, else `train`
MISTAKE = 2  # exit status of a user's mistake


def main(arguments: list[str] | None = None) -> int:
    """Run one verb; returns the exit status: 0, or 2 for a mistake, said in one line."""
    words = sys.argv[1:] if arguments is None else arguments
    parser = argparse.ArgumentParser(
        prog="halfbyte",
        description="Speech recognition in half a byte per weight.",
        epilog="halfbyte VERB --help shows examples of a verb.",
    )
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    for verb, meaning in _VERBS.items():
        verb_parser = verbs.add_parser(
            verb, help=meaning, formatter_class=argparse.RawDescriptionHelpFormatter
        )
        if words[:1] == [verb]:  # only the verb at hand is imported, so that every verb starts fast
            importlib.import_module(f"halfbyte.cli.{verb}").add_arguments(verb_parser)
    options, extra = parser.parse_known_args(words)
    options.overrides = [word for word in extra if "=" in word and not word.startswith("-")]
    if len(options.overrides) < len(extra) or (extra and options.verb not in _TAKE_OVERRIDES):
        parser.error(f"unrecognized arguments: {' '.join(extra)}")
    try:
        return importlib.import_module(f"halfbyte.cli.{options.verb}").run(options)
    except HalfbyteError as error:
        print(f"halfbyte {options.verb}: {error}", file=sys.stderr)
        return MISTAKE
    except ModuleNotFoundError as error:
        missing = _EXTRAS.get(options.verb, "train")
        print(
            f"halfbyte {options.verb}: needs the package {error.name}; "
            f"install it with: pip install 'halfbyte[{missing}]'",
            file=sys.stderr,
        )
        return MISTAKE
    except BrokenPipeError:
        return 0
    except KeyboardInterrupt:
        print(f"halfbyte {options.verb}: interrupted", file=sys.stderr)
        return 130
