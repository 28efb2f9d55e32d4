"""`halfbyte transcribe`: audio to text, words as they come or at the end."""

import argparse
import resource
import sys
import time
from dataclasses import replace

from halfbyte.audio_file import AudioFile
from halfbyte.cli import print_mistake
from halfbyte.cli.live import Live
from halfbyte.cli.stream_options import add_stream_arguments, stream_options
from halfbyte.errors import AudioError, UsageError
from halfbyte.listen.events import Event, finals
from halfbyte.listen.options import FULL_CONTEXT_MS
from halfbyte.listen.recognizer import Recognizer
from halfbyte.listen.subtitles import as_srt, as_vtt
from halfbyte.listen.transcript import as_json, as_text

EPILOG = """\
examples:
  halfbyte transcribe talk.wav
  halfbyte transcribe --stream talk.wav            words as they are recognised
  halfbyte transcribe --srt talk.flac > talk.srt
  halfbyte transcribe *.wav                        one line per file, labelled
  halfbyte transcribe --json *.wav | jq .text      one JSON object per file
  halfbyte transcribe --chunk-ms 320 --mode greedy talk.wav
  halfbyte transcribe --grammar home.txt light.wav     only phrases of that file, one a line
  halfbyte transcribe --grammar order.jsgf --json latte.wav     words of its rules as slots
  sox talk.mp3 -t wav - | halfbyte transcribe -    standard input

By default each segment is recognised as a whole. --stream and --chunk-ms work chunk by chunk, as
with a microphone. If a file cannot be read, the error goes to standard error, the other files are
recognised, and the exit status is 2.
"""


STANDARD_INPUT = "/dev/stdin"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `halfbyte transcribe`."""
    parser.epilog = EPILOG
    parser.add_argument(
        "audio",
        nargs="+",
        metavar="AUDIO",
        help="WAV file, - for standard input; with the extra audio also flac, ogg, opus, mp3",
    )
    parser.add_argument("--model", metavar="M.hb", help="model file (default: the one included)")
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="JSON with words, times and confidences")
    form.add_argument("--srt", action="store_true", help="SubRip subtitles")
    form.add_argument("--vtt", action="store_true", help="WebVTT subtitles")
    form.add_argument("--stream", action="store_true", help="show words once they are recognised")
    parser.add_argument(
        "--channel", type=int, metavar="N", help="channel to use, from 1 (default: their mean)"
    )
    add_stream_arguments(parser, "recognise in chunks of N ms; 0: the whole segment at once")
    parser.add_argument(
        "--nbest",
        type=int,
        default=1,
        metavar="N",
        help="texts with scores in --json (%(default)s)",
    )
    parser.add_argument(
        "--stats", action="store_true", help="real-time factor and memory on standard error"
    )


def run(options: argparse.Namespace) -> int:
    """Recognise files one after another; a file that cannot be read does not stop the others.

    Returns:
        0, or 2 if a file could not be read.

    Raises:
        ModelFileError: the model cannot be opened.
        UsageError: subtitles of several files, a chunk or mode that the model does not have, or a
            grammar that is wrong.
    """
    if len(options.audio) > 1 and (options.srt or options.vtt):
        raise UsageError(f"--srt and --vtt accept a single file; got {len(options.audio)}")
    recognizer = Recognizer(options.model)
    status = 0
    for path in options.audio:
        try:
            _transcribe(recognizer, path, options)
        except AudioError as error:  # what else was asked for is done all the same
            status = print_mistake("halfbyte transcribe", str(error))
    return status


def _transcribe(recognizer: Recognizer, path: str, options: argparse.Namespace) -> None:
    is_one_of_several = len(options.audio) > 1
    start_s = time.perf_counter()
    file = AudioFile(STANDARD_INPUT if path == "-" else path, options.channel)
    if options.stream and is_one_of_several:
        print(f"{path}:")
    events, duration_s = _recognize(recognizer, file, options)
    seconds = time.perf_counter() - start_s
    label = f"{path}: " if is_one_of_several else ""
    if not options.stream:
        print(_form(events, path, duration_s, label, options))
    if options.stats:
        _print_stats(label, duration_s, seconds)


def _recognize(
    recognizer: Recognizer, file: AudioFile, options: argparse.Namespace
) -> tuple[list[Event], float]:
    """Events of a file and its duration; shows them as they come if asked to."""
    chosen = replace(
        stream_options(options), sample_rate_hz=file.sample_rate_hz, num_best=options.nbest
    )
    if options.chunk_ms is None and not options.stream:
        chosen = replace(chosen, chunk_ms=FULL_CONTEXT_MS)
    stream = recognizer.stream(chosen)
    show = Live() if options.stream else None
    events: list[Event] = []
    num_samples = 0

    def take(news: list[Event]) -> None:
        events.extend(news)
        if show:
            for event in news:
                show(event)

    for block in file:
        num_samples += len(block)
        take(stream.accept(block))
    take(stream.finish())
    return events, num_samples / file.sample_rate_hz


def _form(
    events: list[Event], path: str, duration_s: float, label: str, options: argparse.Namespace
) -> str:
    if options.json:
        return as_json(events, path, duration_s, options.nbest)
    settled = finals(events)
    if options.srt:
        return as_srt(settled)
    return as_vtt(settled) if options.vtt else f"{label}{as_text(settled)}"


def _print_stats(label: str, duration_s: float, seconds: float) -> None:
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000
    factor = seconds / max(duration_s, 1e-9)
    print(
        f"{label}{duration_s:.2f} s of audio in {seconds:.2f} s: real-time factor {factor:.3f}, "
        f"peak memory {peak_mb:.1f} MB",
        file=sys.stderr,
    )
