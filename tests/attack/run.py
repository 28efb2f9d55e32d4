"""The attacks, for as long as you like. `python tests/attack/run.py --seconds 600 --seed 7`."""

import argparse
import sys
import tempfile
from pathlib import Path

TESTS = Path(__file__).parents[1]
sys.path[:0] = [str(TESTS), str(TESTS / "engine")]


def main() -> int:
    from attack.board import attack_all
    from attack.score import table

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=300.0, help="in all (%(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="of the random inputs (%(default)s)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        scores = attack_all(Path(folder), options.seconds, options.seed)
    for score in scores:
        print("\n".join(score.notes), end="\n" if score.notes else "")
    print(table(scores))
    return 0 if all(score.is_clean for score in scores) else 1


if __name__ == "__main__":
    sys.exit(main())
