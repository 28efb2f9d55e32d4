"""The attacks in short; `make attack` has more time for them."""

from attack.board import attack_all
from attack.score import table

SECONDS = 15.0


def test_nothing_crashes_hangs_or_is_lost(tmp_path, capsys):
    scores = attack_all(tmp_path, SECONDS, seed=1)
    with capsys.disabled():
        print("\n" + table(scores))
    assert all(score.is_clean for score in scores), [note for s in scores for note in s.notes]
