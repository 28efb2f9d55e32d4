"""Where the models are that tests run."""

from pathlib import Path

ROOT = Path(__file__).parents[1]
GOLDEN = ROOT / "tests" / "golden"
TONES = GOLDEN / "tones.hb"  # knows the words low, mid and high
