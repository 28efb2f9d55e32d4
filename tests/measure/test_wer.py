"""Word errors by hand, and against a search over all alignments."""

from functools import cache

import pytest
from hypothesis import given
from hypothesis import strategies as st

from halfbyte.scores.words import Errors, count_errors

WORDS = st.lists(st.sampled_from(["a", "b", "c", "d"]), max_size=7)


@pytest.mark.parametrize(
    ("reference", "hypothesis", "substitutions", "deletions", "insertions"),
    [
        ("", "", 0, 0, 0),
        ("a", "a", 0, 0, 0),
        ("a", "", 0, 1, 0),
        ("", "a b", 0, 0, 2),
        ("a b c", "a x c", 1, 0, 0),
        ("a b c", "a c", 0, 1, 0),
        ("a c", "a b c", 0, 0, 1),
        ("a b c d", "b c d e", 0, 1, 1),
        ("one two three", "four five", 2, 1, 0),
        ("a  b\tc", " a b c ", 0, 0, 0),
    ],
)
def test_by_hand(reference, hypothesis, substitutions, deletions, insertions):
    errors = count_errors(reference, hypothesis)
    assert (errors.substitutions, errors.deletions, errors.insertions) == (
        substitutions,
        deletions,
        insertions,
    )
    assert errors.num_words == len(reference.split())
    assert errors.num_right == int(errors.num_errors == 0)
    assert errors.num_utterances == 1


def fewest_errors(expected: tuple[str, ...], heard: tuple[str, ...]) -> int:
    """Every way to drop, add or replace the next word, tried in turn."""

    @cache
    def rest(i: int, j: int) -> int:
        if i == len(expected):
            return len(heard) - j
        if j == len(heard):
            return len(expected) - i
        both = rest(i + 1, j + 1) + (expected[i] != heard[j])
        return min(both, 1 + rest(i + 1, j), 1 + rest(i, j + 1))

    return rest(0, 0)


@given(WORDS, WORDS)
def test_the_alignment_is_the_cheapest(expected, heard):
    errors = count_errors(" ".join(expected), " ".join(heard))
    assert errors.num_errors == fewest_errors(tuple(expected), tuple(heard))
    assert errors.insertions - errors.deletions == len(heard) - len(expected)
    assert errors.substitutions + errors.deletions <= len(expected)


@given(WORDS, WORDS)
def test_swapping_both_swaps_insertions_and_deletions(expected, heard):
    one = count_errors(" ".join(expected), " ".join(heard))
    other = count_errors(" ".join(heard), " ".join(expected))
    assert one.num_errors == other.num_errors
    assert one.insertions - one.deletions == other.deletions - other.insertions


def test_errors_add_up():
    total = sum(
        (count_errors(r, h) for r, h in [("a b", "a"), ("c d", "c d"), ("", "e")]), Errors()
    )
    assert total == Errors(0, 1, 1, num_words=4, num_utterances=3, num_right=1)
    assert total.wer == 2 / 4
    assert total.sentence_accuracy == 1 / 3


def test_rates_of_nothing_are_numbers():
    assert (Errors().wer, Errors().sentence_accuracy) == (0.0, 0.0)
    assert count_errors("", "a b").wer == 2.0
