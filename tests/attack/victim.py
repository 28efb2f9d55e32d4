"""A process that runs what its standard input says, a JSON line each, and tells how it ended.

`["info", "x.hb"]` is a verb with its words. `["state", MODEL, FILE]` restores a saved stream.
"""

import contextlib
import io
import json
import os
import sys
import traceback
from pathlib import Path


def restore(model: str, saved: str) -> int:
    """Go on with a saved stream; prints what it says."""
    from halfbyte import HalfbyteError, Recognizer

    stream = Recognizer(model).stream()
    try:
        stream.restore(Path(saved).read_bytes())
        print([event.text for event in stream.finish() if event.is_final])
    except HalfbyteError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


def run(words: list[str]) -> int:
    from halfbyte.cli import main

    try:
        return restore(*words[1:]) if words[0] == "state" else main(words)
    except SystemExit as end:
        return int(end.code or 0)


def main() -> None:
    answers = os.fdopen(os.dup(1), "w")
    for line in sys.stdin:
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            try:
                status = run(json.loads(line))
            except BaseException:
                status = -1
                traceback.print_exc()
        answers.write(json.dumps([status, out.getvalue(), err.getvalue()[-4000:]]) + "\n")
        answers.flush()


if __name__ == "__main__":
    main()
