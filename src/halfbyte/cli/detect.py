"""`halfbyte detect`: keywords in audio files, one line for each that is heard."""

import argparse
import json

from halfbyte.audio_file import AudioFile
from halfbyte.cli import print_mistake
from halfbyte.errors import AudioError, UsageError
from halfbyte.listen.events import Detection, Event
from halfbyte.listen.options import StreamOptions
from halfbyte.listen.recognizer import Recognizer

EPILOG = """\
examples:
  halfbyte detect commands.hb kitchen.wav
  halfbyte detect commands.hb *.wav --json | jq .keyword
  halfbyte detect commands.hb *.wav --json --min-score 0   all that a curve needs

The time is where the score is highest, near the end of the word. A file that cannot be read is said
on standard error, the others are heard, and the exit status is 2.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `halfbyte detect`."""
    parser.epilog = EPILOG
    parser.add_argument("model", metavar="MODEL.hb", help="a model that detects keywords")
    parser.add_argument("audio", nargs="+", metavar="FILE", help="WAV; flac, ogg, opus, mp3")
    parser.add_argument("--chunk-ms", type=int, metavar="N", help="chunk length; changes nothing")
    parser.add_argument(
        "--min-score", type=float, metavar="S", help="least score, 0 to 1, in place of thresholds"
    )
    parser.add_argument("--json", action="store_true", help="one JSON object for each keyword")


def run(options: argparse.Namespace) -> int:
    """Listen to files one after another and print what is detected.

    Returns:
        0, or 2 if a file could not be read.

    Raises:
        ModelFileError: the model cannot be opened.
        UsageError: the model detects nothing, or a chunk or score outside its range.
    """
    recognizer = Recognizer(options.model)
    if not recognizer.model.settings.labels:
        raise UsageError(
            f"{options.model} writes text and detects nothing; use halfbyte transcribe"
        )
    recognizer.stream(
        StreamOptions(options.chunk_ms, min_score=options.min_score)
    )  # mistakes first
    status = 0
    for path in options.audio:
        try:
            _detect(recognizer, path, options)
        except AudioError as error:
            status = print_mistake("halfbyte detect", str(error))
    return status


def _detect(recognizer: Recognizer, path: str, options: argparse.Namespace) -> None:
    file = AudioFile(path)
    stream = recognizer.stream(
        StreamOptions(
            options.chunk_ms, sample_rate_hz=file.sample_rate_hz, min_score=options.min_score
        )
    )
    for block in file:
        _print(stream.accept(block), path, options.json)
    _print(stream.finish(), path, options.json)


def _print(events: list[Event], path: str, is_json: bool) -> None:
    for event in events:
        if not isinstance(event, Detection):
            continue
        if is_json:
            line = dict(file=path, time=event.time_s, score=event.score, keyword=event.label)
            print(json.dumps(line, ensure_ascii=False), flush=True)
        else:
            print(f"{path}: {event.time_s:.2f} {event.label} ({event.score:.4f})", flush=True)
