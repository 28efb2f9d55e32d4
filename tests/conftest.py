"""Paths and settings of all tests."""

import sys
from pathlib import Path

from hypothesis import settings

sys.path.insert(0, str(Path(__file__).parent))

# The same examples every time, and no clock: a loaded machine fails no test.
settings.register_profile("house", deadline=None, derandomize=True, database=None)
settings.load_profile("house")
