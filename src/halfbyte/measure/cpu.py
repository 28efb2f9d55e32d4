"""The processor that a benchmark runs on."""

import os
import platform
import re
from pathlib import Path


def pin() -> None:
    """Keeps this process on its last processor, where the system can."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})


def machine() -> str:
    """The processor's name."""
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return platform.processor() or platform.machine()
    found = re.search(r"^model name\s*: *(.*)$", text, re.MULTILINE)
    return found[1].strip() if found else platform.machine()
