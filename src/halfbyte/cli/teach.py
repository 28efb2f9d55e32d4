"""`halfbyte teach`: the included model learns the words of a folder of recordings."""

import argparse
import json
import sys
from pathlib import Path

from halfbyte.cli.train import say_stopped

EPILOG = """\
examples:
  halfbyte teach recordings/ -o mine.hb
  halfbyte teach recordings/ -o mine.hb loop.epochs=40
  halfbyte transcribe --model mine.hb talk.wav

RECORDINGS is a folder with recordings and a table, say words.csv:
  file,text,speaker
  left_1.wav,left,ann
It may have any other layout that `halfbyte prepare` reads. A column `split` with train and test
chooses what is held out to check the result; else one recording in six is.

How many recordings:
  10       enough to try it
  100      a model for the people who were recorded
  1,000    a model for everybody, if dozens of people speak
  10,000   compare with a model of your own: halfbyte train

The same command continues where it was interrupted. Its work is kept in mine.teach, beside mine.hb;
delete that folder to begin anew with other recordings.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `halfbyte teach`."""
    parser.epilog = EPILOG
    parser.usage = "halfbyte teach RECORDINGS -o M.hb [--from CHECKPOINT] [--json] [key=value ...]"
    parser.add_argument(
        "recordings", type=Path, metavar="RECORDINGS", help="folder with recordings and a table"
    )
    parser.add_argument("-o", dest="path", type=Path, required=True, metavar="M.hb")
    parser.add_argument(
        "--from",
        dest="start_from",
        type=Path,
        metavar="CHECKPOINT",
        help="start from this checkpoint folder (default: the included model)",
    )
    parser.add_argument("--json", action="store_true", help="the report as one JSON object")


def run(options: argparse.Namespace) -> int:
    """Teach; an interrupted call says how to continue."""
    try:
        return _teach(options)
    except KeyboardInterrupt as end:
        return say_stopped("halfbyte teach", work_folder(options.path), end)


def work_folder(path: Path) -> Path:
    """The folder for the work on a model file, beside it."""
    return path.with_suffix(".teach")


def _teach(options: argparse.Namespace) -> int:
    """Prepare, fine-tune, export, compile and report.

    Raises:
        UsageError: no weights to start from, or recordings that nothing can be learned from.
        ConfigError: an unknown key, or a work folder that holds the work on other recordings.
    """
    from halfbyte.teach import lesson
    from halfbyte.teach.recordings import gather
    from halfbyte.train.checkpoint import load_checkpoint

    path, work = options.path, work_folder(options.path)
    start = options.start_from or lesson.included_weights()
    _, tokenizer, _ = load_checkpoint(start)
    _say(f"1 of 4: checking {options.recordings}")
    recordings = gather(options.recordings, work / "data", tokenizer)
    for line in recordings.bad:
        _say(f"left out: {line}")
    config = lesson.lesson_config(start, recordings, path.stem, options.overrides)
    _say(
        f"2 of 4: learning from {recordings.num_learn} recordings, {recordings.learn_s / 60:.1f} "
        f"minutes; {recordings.num_held_out} are held out"
    )
    checkpoint = lesson.learn(config, start, work)
    _say(f"3 of 4: writing {path}")
    lesson.make_file(checkpoint, work, path, recordings)
    _say("4 of 4: recognising the held-out recordings")
    report = lesson.measure(path, recordings, work)
    print(json.dumps(report.as_dict(), ensure_ascii=False) if options.json else report.as_text())
    return 0


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
