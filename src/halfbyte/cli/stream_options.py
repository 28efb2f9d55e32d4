"""Options of a stream, as `transcribe` and `listen` take them."""

import argparse

from halfbyte.listen.grammar import Grammar
from halfbyte.listen.options import EndpointRule, StreamOptions

OFF = "off"
_DEFAULT = EndpointRule()


def add_stream_arguments(parser: argparse.ArgumentParser, chunk_help: str) -> None:
    """Chunk, decoding mode, and when a segment ends."""
    parser.add_argument("--chunk-ms", type=int, metavar="N", help=chunk_help)
    parser.add_argument(
        "--mode", metavar="M", help="how final results are decoded; halfbyte info lists the modes"
    )
    parser.add_argument(
        "--trailing-silence-ms",
        type=_duration_ms,
        default=_DEFAULT.trailing_silence_ms,
        metavar="N",
        help="end a segment after N ms without a word (%(default)s); off: never",
    )
    parser.add_argument(
        "--max-segment-ms",
        type=int,
        metavar="N",
        help="end a segment after N ms in any case (default: the model's limit)",
    )
    parser.add_argument(
        "--grammar", metavar="G", help="file of what may be said: phrases, one a line, or JSGF"
    )


def stream_options(options: argparse.Namespace) -> StreamOptions:
    """The stream that was asked for.

    Raises:
        OSError: the grammar cannot be read.
        UsageError: it is no text.
    """
    rule = EndpointRule(options.trailing_silence_ms, options.max_segment_ms)
    grammar = None if options.grammar is None else Grammar.read(options.grammar)
    return StreamOptions(options.chunk_ms, options.mode, rule, grammar=grammar)


def _duration_ms(text: str) -> int | None:
    if text == OFF:
        return None
    try:
        return int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is neither milliseconds nor {OFF!r}") from None
