"""`halfbyte listen`: the microphone in the terminal, words as they are spoken."""

import argparse
import json
import signal
import sys
from array import array
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from halfbyte.cli.live import Live, level_db
from halfbyte.cli.stream_options import add_stream_arguments, stream_options
from halfbyte.errors import AudioError, UsageError
from halfbyte.listen.events import Event, record_of
from halfbyte.listen.microphone import BLOCK_MS, Microphone, microphones
from halfbyte.listen.options import StreamOptions
from halfbyte.listen.recognizer import Recognizer
from halfbyte.listen.rejects import KeepsRejects, least_score
from halfbyte.listen.stream import Stream
from halfbyte.listen.wake import WakeStream

EPILOG = """\
examples:
  halfbyte listen                       stop with Ctrl-C
  halfbyte listen --chunk-ms 320        words appear sooner, with a few more errors
  halfbyte listen --trailing-silence-ms 400     end a line after a shorter pause
  halfbyte listen --list-devices
  halfbyte listen --device usb          a part of the name is enough
  halfbyte listen > notes.txt           only final lines go into the file
  halfbyte listen --json | jq .         one JSON object per line
  halfbyte listen --grammar home.txt    only phrases of that file, one a line
  halfbyte listen --wake kitchen.hb     a sentence after each keyword of that model
  halfbyte listen --wake kitchen.hb --save-rejects near/    keep what almost woke it

Audio never leaves this machine. Only --save-rejects stores any: two seconds for each keyword whose
score was below its threshold and at least half of it, with a manifest for the next training.
"""
MUTE_MS = 3000  # of nothing but zeros, which no open microphone gives
MUTE = "the microphone gives nothing but silence; is it muted, or is it another device's turn?"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `halfbyte listen`."""
    parser.epilog = EPILOG
    parser.add_argument("--model", metavar="M.hb", help="model file (default: the one included)")
    parser.add_argument(
        "--device", metavar="D", help="microphone: its number or a part of its name"
    )
    parser.add_argument("--list-devices", action="store_true", help="list microphones and exit")
    add_stream_arguments(parser, "recognise in chunks of N ms")
    parser.add_argument("--wake", metavar="W.hb", help="sleep until this model hears a keyword")
    parser.add_argument(
        "--min-score", type=float, metavar="S", help="least score of keywords, 0 to 1"
    )
    parser.add_argument(
        "--save-rejects", type=Path, metavar="DIR", help="store the sound of near alarms there"
    )
    parser.add_argument("--json", action="store_true", help="print each event as a JSON object")


def run(options: argparse.Namespace) -> int:
    """Recognise the microphone until Ctrl-C, whose words before it are still settled.

    Raises:
        AudioError: no microphone, or not the one that was named.
        ModelFileError: the model cannot be opened.
        UsageError: a chunk or mode that the model does not have; a grammar that is wrong.
    """
    if options.list_devices:
        return _list_devices()
    recognizer = Recognizer(options.model)
    rate_hz = recognizer.model.settings.sample_rate_hz
    make_stream(recognizer, options, rate_hz)  # a mistake there is said first
    with Microphone(_device(options.device), rate_hz) as microphone:
        stream = make_stream(recognizer, options, microphone.sample_rate_hz)
        _end_at_interrupt(microphone)
        if not options.json:
            print(f"listening to {microphone.name}; Ctrl-C ends", file=sys.stderr, flush=True)
        listen(stream, microphone, options.json)
    if microphone.num_blocks_lost:
        seconds = microphone.num_blocks_lost * BLOCK_MS / 1000
        print(f"{seconds:.1f} s of sound were lost: the machine is too slow", file=sys.stderr)
    return 0


def make_stream(
    recognizer: Recognizer, options: argparse.Namespace, rate_hz: int
) -> Stream | KeepsRejects | WakeStream:
    """A stream of what the options ask for.

    Raises:
        UsageError: the model for `--wake` detects nothing, or an option of a stream is wrong.
    """
    words = replace(stream_options(options), sample_rate_hz=rate_hz)
    if options.wake is None:
        return _spotting(recognizer, replace(words, min_score=options.min_score), options)
    spotter = Recognizer(options.wake)
    if not spotter.model.settings.labels:
        raise UsageError(f"{options.wake} detects nothing; --wake takes a model of keywords")
    recognizer.stream(words)
    detections = StreamOptions(sample_rate_hz=rate_hz, min_score=options.min_score)
    return WakeStream(
        _spotting(spotter, detections, options), lambda: recognizer.stream(words), rate_hz
    )


def _spotting(
    recognizer: Recognizer, wanted: StreamOptions, options: argparse.Namespace
) -> Stream | KeepsRejects:
    """A stream that detects, and keeps its near alarms if that was asked for."""
    stream = recognizer.stream(wanted)  # a mistake there is said first
    if options.save_rejects is None:
        return stream
    settings = recognizer.model.settings
    if not settings.labels:
        raise UsageError("the model detects nothing; --save-rejects is for a model of keywords")
    if options.save_rejects.exists() and not options.save_rejects.is_dir():
        raise UsageError(f"--save-rejects {options.save_rejects} is a file; expected a folder")
    thresholds = dict(zip(settings.labels, settings.thresholds, strict=True))
    if wanted.min_score is not None:
        thresholds = dict.fromkeys(thresholds, wanted.min_score)
    stream = recognizer.stream(replace(wanted, min_score=least_score(thresholds)))
    return KeepsRejects(stream, thresholds, options.save_rejects, wanted.sample_rate_hz)


def listen(
    stream: Stream | KeepsRejects | WakeStream, blocks: "Iterable[array[float]]", is_json: bool
) -> None:
    """Recognise blocks of sound of BLOCK_MS each and show what comes, until they end."""
    live = Live(is_microphone=True)
    show = _print_json if is_json else live
    num_silent = 0
    for block in blocks:
        num_silent = 0 if any(block) else num_silent + 1
        if num_silent * BLOCK_MS == MUTE_MS:
            live.clear()
            print(MUTE, file=sys.stderr, flush=True)
        if not is_json:
            live.level(level_db(block))
        for event in stream.accept(block):
            show(event)
    for event in stream.finish():
        show(event)
    if not is_json:
        live.clear()


def _end_at_interrupt(microphone: Microphone) -> None:
    """The first Ctrl-C ends the sound, so that its last words are still settled."""

    def end(*_: object) -> None:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        microphone.stop()

    signal.signal(signal.SIGINT, end)


def _device(words: str | None) -> int | str | None:
    return int(words) if words and words.isdecimal() else words


def _print_json(event: Event) -> None:
    print(json.dumps(record_of(event), ensure_ascii=False), flush=True)


def _list_devices() -> int:
    found = microphones()
    if not found:
        raise AudioError("no microphone was found")
    for number, name, rate_hz in found:
        print(f"{number}  {name}  {rate_hz} Hz")
    return 0
