"""The processor that a benchmark runs on."""

import os
import platform
import re
from pathlib import Path

_GENERATION = {"family": "cpu family", "model": "model", "stepping": "stepping"}


def pin() -> None:
    """Keeps this process on its last processor, where the system can."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})


def machine(cpuinfo: Path = Path("/proc/cpuinfo")) -> str:
    """The processor's name with its generation: "AMD EPYC (family 25, model 17, stepping 1)".

    A virtual machine may call several generations by one name.
    """
    try:
        lines = cpuinfo.read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    pairs = [re.split(r"\s*:\s*", line, maxsplit=1) for line in reversed(lines) if ":" in line]
    facts = {key: value.strip() for key, value in pairs}  # of the first processor
    told = [f"{name} {facts[key]}" for name, key in _GENERATION.items() if key in facts]
    name = facts.get("model name") or platform.machine()
    return f"{name} ({', '.join(told)})" if told else name
