"""Paired bootstrap: numbers of a hand, and a bootstrap written as a loop."""

import random

import numpy as np
import pytest

from halfbyte.scores.bootstrap import relative_difference


def test_value_by_hand():
    a, b = np.array([[3, 10], [3, 10]]), np.array([[2, 10], [3, 10]])
    assert relative_difference([a], [b]).value == pytest.approx(0.2)  # 30 % against 25 %


def test_a_model_equals_itself():
    counts = np.random.default_rng(0).integers(0, 9, (20, 2)) + 1
    one = relative_difference([counts], [counts])
    assert (one.value, one.low, one.high) == (0, 0, 0)
    assert one.is_non_inferior(0.0)


def test_interval_equals_a_loop_over_speakers():
    chance = np.random.default_rng(3)
    words = chance.integers(5, 30, 40)
    b = np.stack([chance.binomial(words, 0.3), words], axis=1)
    a = np.stack([np.minimum(words, b[:, 0] + chance.integers(-1, 2, 40)).clip(0), words], axis=1)
    loop = random.Random(5)
    relative = []
    for _ in range(4000):
        drawn = loop.choices(range(40), k=40)
        errors_a, errors_b = a[drawn, 0].sum(), b[drawn, 0].sum()
        relative.append((errors_a - errors_b) / errors_b)
    low, high = np.quantile(relative, [0.025, 0.975])
    found = relative_difference([a], [b])
    assert (found.low, found.high) == pytest.approx((low, high), abs=0.01)


def test_splits_are_drawn_each_for_itself():
    sure = np.array([[1, 10]] * 30)
    few = np.array([[5, 10], [0, 10]])
    alone = relative_difference([few], [few[::-1]])
    assert alone.value == 0
    assert alone.high > alone.low
    together = relative_difference([sure, few], [sure, few[::-1]])
    assert together.high < alone.high


def test_a_margin_is_judged_by_the_upper_bound():
    worse, better = np.array([[11, 100]] * 50), np.array([[10, 100]] * 50)
    one = relative_difference([worse], [better])
    assert one.high == pytest.approx(0.1)
    assert not one.is_non_inferior(0.02)
    assert one.is_non_inferior(0.11)
