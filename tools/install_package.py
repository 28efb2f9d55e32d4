"""Install this checkout with pip, and show how far the compiler is.

    python tools/install_package.py PIP [REQUIREMENT ...]

PIP is the pip of the environment. On a terminal one line counts the files; elsewhere every 20th
is a line. What pip said is shown if it fails.
"""

import re
import subprocess
import sys
import time

_STEP = re.compile(r"\[(\d+)/(\d+)\]")
_EVERY = 20  # steps between lines where no terminal rewrites them


def main(words: list[str]) -> int:
    """Run pip; returns its exit status."""
    if len(words) < 2:
        sys.exit(__doc__)
    pip, *requirements = words
    command = [pip, "install", "--verbose", "--disable-pip-version-check", *requirements]
    start_s = time.monotonic()
    output = []
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace"
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            output.append(line)
            if step := _STEP.search(line):
                _show(int(step[1]), int(step[2]), time.monotonic() - start_s)
    if process.returncode:
        print("".join(output[-60:]), file=sys.stderr)
        return process.returncode
    print(f"installed after {time.monotonic() - start_s:.0f} s", flush=True)
    return 0


def _show(done: int, total: int, seconds: float) -> None:
    text = f"compiling: {done} of {total} files, {seconds:.0f} s"
    if sys.stdout.isatty():
        print(f"\r{text}", end="" if done < total else "\n", flush=True)
    elif done % _EVERY == 0 or done == total:
        print(text, flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
