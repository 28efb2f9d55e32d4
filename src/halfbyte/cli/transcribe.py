"""`halfbyte transcribe`: audio to text, words as they come or at the end."""

import argparse
import resource
import sys
import time
from collections.abc import Callable

from halfbyte.cli.live import Live
from halfbyte.errors import UsageError
from halfbyte.listen.audio_file import AudioFile
from halfbyte.listen.events import Event
from halfbyte.listen.recognizer import Recognizer
from halfbyte.listen.settings import FULL_CONTEXT_MS, MODES
from halfbyte.listen.transcript import as_json, as_srt, as_text, as_vtt

EPILOG = """\
examples:
  halfbyte transcribe talk.wav
  halfbyte transcribe --stream talk.wav            words as they are recognised
  halfbyte transcribe --srt talk.flac > talk.srt
  halfbyte transcribe --json *.wav | jq .text      one JSON object per file
  halfbyte transcribe --chunk-ms 320 --mode greedy talk.wav

By default a file is recognised at full context; --stream and --chunk-ms work chunk by chunk,
as a microphone would be.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = EPILOG
    parser.add_argument("audio", nargs="+", metavar="AUDIO", help="WAV; flac, ogg, opus, mp3")
    parser.add_argument("--model", metavar="M.hb", help="model file (default: the one included)")
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="words with times and confidences")
    form.add_argument("--srt", action="store_true", help="SubRip subtitles")
    form.add_argument("--vtt", action="store_true", help="WebVTT subtitles")
    form.add_argument("--stream", action="store_true", help="show words as they come")
    parser.add_argument("--chunk-ms", type=int, metavar="N", help="chunk length; 0: full context")
    parser.add_argument("--mode", choices=MODES, default="rescoring", help="decoding (%(default)s)")
    parser.add_argument(
        "--stats", action="store_true", help="real-time factor and memory on standard error"
    )


def run(options: argparse.Namespace) -> int:
    if len(options.audio) > 1 and (options.srt or options.vtt):
        raise UsageError(f"{len(options.audio)} files came; subtitles are of one file, give one")
    recognizer = Recognizer(options.model)
    for path in options.audio:
        start_s = time.perf_counter()
        finals, duration_s = _recognize(recognizer, path, options)
        seconds = time.perf_counter() - start_s
        if not options.stream:
            print(_formatter(options)(finals, path, duration_s))
        if options.stats:
            _print_stats(duration_s, seconds)
    return 0


def _recognize(
    recognizer: Recognizer, path: str, options: argparse.Namespace
) -> tuple[list[Event], float]:
    """Final events of a file and its duration; shows events as they come if asked to."""
    file = AudioFile(path)
    chunk_ms = options.chunk_ms
    if chunk_ms is None and not options.stream:
        chunk_ms = FULL_CONTEXT_MS
    stream = recognizer.stream(chunk_ms, options.mode, sample_rate_hz=file.sample_rate_hz)
    show = Live() if options.stream else None
    finals: list[Event] = []
    num_samples = 0

    def take(events: list[Event]) -> None:
        finals.extend(event for event in events if event.is_final)
        if show:
            for event in events:
                show(event)

    for block in file:
        num_samples += len(block)
        take(stream.accept(block))
    take(stream.finish())
    return finals, num_samples / file.sample_rate_hz


def _formatter(options: argparse.Namespace) -> Callable[[list[Event], str, float], str]:
    if options.json:
        return as_json
    if options.srt:
        return lambda finals, *_: as_srt(finals)
    if options.vtt:
        return lambda finals, *_: as_vtt(finals)
    return lambda finals, *_: as_text(finals)


def _print_stats(duration_s: float, seconds: float) -> None:
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000
    factor = seconds / max(duration_s, 1e-9)
    print(
        f"{duration_s:.2f} s of audio in {seconds:.2f} s: real-time factor {factor:.3f}, "
        f"peak memory {peak_mb:.1f} MB",
        file=sys.stderr,
    )
