"""Progress: a line a minute where nobody looks at a terminal, from the first minute."""

import pytest

from halfbyte import progress
from halfbyte.progress import Progress, progress_bar


@pytest.fixture
def clock(monkeypatch):
    """Seconds that pass when a test says so."""
    now = [0.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    return now


def test_a_line_a_minute_in_a_log(clock, capsys):
    for _ in progress_bar(range(10), "working"):
        clock[0] += 30
    assert capsys.readouterr().err.splitlines() == [
        "working: 1 of 10, 0:04:30 left",
        "working: 3 of 10, 0:03:30 left",
        "working: 5 of 10, 0:02:30 left",
        "working: 7 of 10, 0:01:30 left",
        "working: 9 of 10, 0:00:30 left",
    ]


def test_short_tasks_say_nothing(clock, capsys):
    assert list(progress_bar(range(10), "working")) == list(range(10))
    assert capsys.readouterr().err == ""


def test_what_was_done_before_is_no_speed(clock):
    shown = Progress(110, num_done=90)
    clock[0] += 60
    assert shown.left(100) == "0:01:00"


def test_a_bar_on_a_terminal(clock, capsys, monkeypatch):
    monkeypatch.setattr(progress.sys.stderr, "isatty", lambda: True, raising=False)
    for _ in progress_bar(range(4), "working"):
        clock[0] += 3600
    drawn = capsys.readouterr().err.split("\r\x1b[K")
    assert drawn[2] == "working " + "█" * 12 + "·" * 12 + " 2/4, 2:00:00 left"
    assert drawn[-1] == ""
