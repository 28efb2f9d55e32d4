"""Mistakes on the command line of `halfbyte serve`: one line, nothing is served."""

import pytest


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--port", "99999"], "--port is 99999; expected 0 to 65535"),
        (["--port", "-1"], "--port is -1; expected 0 to 65535"),
        (["--wyoming-port", "65536"], "--wyoming-port is 65536; expected 0 to 65535"),
        (["--threads", "9999"], "--threads is 9999; expected 1 to 256"),
        (["--idle-s", "-1"], "--idle-s is -1.0; expected at least 1"),
        (["--max-streams", "0"], "--max-streams is 0; expected at least 1"),
        (["--allow-origin", "foo"], "--allow-origin is 'foo'; expected one like https://"),
        (["--allow-origin", "https://a.org/x"], "--allow-origin is 'https://a.org/x'; expected"),
    ],
)
def test_values_out_of_range_are_one_line(halfbyte, words, message):
    done = halfbyte("serve", *words)
    assert done.status == 2
    assert done.err.startswith(f"halfbyte serve: {message}")
    assert done.err.count("\n") == 1
    assert done.out == ""
