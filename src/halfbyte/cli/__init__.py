"""The command line: `halfbyte VERB …`, one file a verb."""

import argparse
import difflib
import importlib
import io
import os
import sys
from collections.abc import Iterable, Sequence
from typing import Any, NoReturn

from halfbyte import __version__
from halfbyte.errors import HalfbyteError, how_to_install

VERBS = {
    "transcribe": "recognise audio files; --stream shows words at once",
    "listen": "recognise the microphone, live",
    "detect": "find keywords in audio files, one line for each",
    "serve": "run a streaming server with a web page",
    "bench": "measure speed and accuracy on this machine",
    "eval": "count the errors of a model on recordings with texts",
    "teach": "make a model of your own words from a folder of recordings",
    "prepare": "check a corpus and write manifests for training",
    "train": "train a model in 4 bits or in float",
    "quantize": "quantise a trained float model without training it again",
    "export": "write a trained model as ONNX",
    "compile": "turn ONNX into a .hb file for the device",
    "info": "show what is inside a .hb file, and check it",
}
_TAKE_OVERRIDES = {
    "quantize",
    "teach",
    "train",
}  # verbs with `key=value` words, anywhere among the options
# The extra that brings an optional package, else `train`.
_EXTRAS = {
    "aiohttp": "serve",
    "lhotse": "data",
    "onnxruntime": "test",
    "pyarrow": "data",
    "sounddevice": "listen",
}
MISTAKE = 2  # exit status of a user's mistake
INTERRUPTED = 130


class _Parser(argparse.ArgumentParser):
    """Says a mistake in one line, without the usage before it, and names the nearest option."""

    def parse_known_args(  # type: ignore[override]
        self, args: Sequence[str] | None = None, namespace: Any = None
    ) -> tuple[Any, list[str]]:
        """As argparse, but an unknown option ends the program here."""
        if self._subparsers is None:  # the parser that knows the options
            self._refuse_unknown_options(args or [])
        return super().parse_known_args(args, namespace)

    def _refuse_unknown_options(self, words: Sequence[str]) -> None:
        known = [name for name in self._option_string_actions if name.startswith("--")]
        for word in words:
            if word == "--":  # positional words follow
                return
            name = word.partition("=")[0]
            if name.startswith("--") and not any(other.startswith(name) for other in known):
                self.error(f"there is no option {name}{_nearest(name, known)}")

    def error(self, message: str) -> NoReturn:
        """End the program with status 2 and one line."""
        self.exit(print_mistake(self.prog, f"{message}; {self.prog} --help shows what it takes"))


def main(arguments: list[str] | None = None) -> int:
    """Run one verb; returns the exit status: 0, or 2 for a mistake, said in one line."""
    if isinstance(sys.stdout, io.TextIOWrapper):  # a name may hold what the terminal cannot show
        sys.stdout.reconfigure(errors="backslashreplace")
    options = _parse(sys.argv[1:] if arguments is None else arguments)
    program = f"halfbyte {options.verb}"
    try:
        status: int = importlib.import_module(f"halfbyte.cli.{options.verb}").run(options)
        sys.stdout.flush()  # a full disk shows here, not when Python ends
        return status
    except HalfbyteError as error:
        return print_mistake(program, str(error))
    except ModuleNotFoundError as error:
        return print_mistake(program, _missing_package(error))
    except BrokenPipeError:  # who reads our output has seen enough
        _drop_output()
        return 0
    except OSError as error:
        if error.filename is None:
            _drop_output()
        return print_mistake(program, f"{error.filename or 'output'}: {error.strerror or error}")
    except MemoryError:
        return print_mistake(program, "not enough memory; give shorter audio or a smaller model")
    except KeyboardInterrupt:
        print_mistake(program, "interrupted")
        return INTERRUPTED


def _drop_output() -> None:
    """What cannot be written any more is not tried again when Python ends."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _parse(words: list[str]) -> argparse.Namespace:
    parser = _Parser(
        prog="halfbyte",
        description="Streaming speech recognition with 4-bit models.",
        epilog="halfbyte VERB --help shows examples of a verb.",
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    if words and not words[0].startswith("-") and words[0] not in VERBS:
        parser.error(f"there is no verb {words[0]!r}{_nearest(words[0], VERBS)}")
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    for verb, meaning in VERBS.items():
        verb_parser = verbs.add_parser(
            verb, help=meaning, formatter_class=argparse.RawDescriptionHelpFormatter
        )
        if words[:1] == [verb]:  # only the verb at hand is imported, so that every verb starts fast
            importlib.import_module(f"halfbyte.cli.{verb}").add_arguments(verb_parser)
    options, extra = parser.parse_known_args(words)
    options.overrides = [word for word in extra if "=" in word and not word.startswith("-")]
    if len(options.overrides) < len(extra) or (extra and options.verb not in _TAKE_OVERRIDES):
        verbs.choices[options.verb].error(f"unrecognized arguments: {' '.join(extra)}")
    return options


def _nearest(word: str, known: Iterable[str]) -> str:
    nearest = difflib.get_close_matches(word, list(known), n=1)
    return f" (did you mean {nearest[0]}?)" if nearest else ""


def print_mistake(program: str, message: str) -> int:
    """Say a user's mistake in one line on standard error; returns the exit status for it."""
    print(f"{program}: {' '.join(message.splitlines())}", file=sys.stderr)
    return MISTAKE


def _missing_package(error: ModuleNotFoundError) -> str:
    package = (error.name or "").partition(".")[0]
    if package == "halfbyte":
        raise error  # an installation without its own parts is no mistake of the user
    return f"needs the package {package}; {how_to_install(_EXTRAS.get(package, 'train'))}"
