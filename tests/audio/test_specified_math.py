"""exp, log, sine and cosine of the engine against the C library's, in units in the last place."""

from __future__ import annotations

import math

import numpy as np
import pytest

from halfbyte import _core

math_ = _core.audio.specified_math


def ulps(value: float, expected: float) -> float:
    return abs(value - expected) / math.ulp(expected)


def test_log() -> None:
    rng = np.random.default_rng(0)
    near_one = 1 + rng.uniform(-0.3, 0.4, 2000)
    wide = np.exp(rng.uniform(-700, 700, 2000))
    for x in [*near_one.tolist(), *wide.tolist(), 5e-324, 1e-310, 1.7e308]:
        assert ulps(math_.log(x), math.log(x)) <= 2, x
    assert math_.log(1.0) == 0.0
    assert math_.log(0.0) == -math.inf
    assert math_.log(math.inf) == math.inf
    assert math.isnan(math_.log(-1.0))
    assert math.isnan(math_.log(math.nan))


def test_exp() -> None:
    for x in np.random.default_rng(1).uniform(-708, 709.7, 4000).tolist():
        assert ulps(math_.exp(x), math.exp(x)) <= 2, x
    assert math_.exp(0.0) == 1.0
    assert math_.exp(709.78) == pytest.approx(math.exp(709.78), rel=1e-14)
    assert math_.exp(710.0) == math.inf
    assert math_.exp(-710.0) == 0.0
    assert math_.exp(-math.inf) == 0.0
    assert math.isnan(math_.exp(math.nan))


@pytest.mark.parametrize("denominator", [1, 7, 399, 512, 999_999_937])
def test_sine_and_cosine_of_a_turn(denominator: int) -> None:
    rng = np.random.default_rng(denominator)
    for numerator in rng.integers(-2 * denominator, 2 * denominator + 1, 500).tolist():
        # math.tau * turn is itself off by up to 4e-16; ours is reduced exactly.
        angle = math.tau * math.remainder(numerator, denominator) / denominator
        assert abs(math_.cos_of_turn(numerator, denominator) - math.cos(angle)) < 1e-15
        assert abs(math_.sin_of_turn(numerator, denominator) - math.sin(angle)) < 1e-15


def test_quarter_turns_are_exact() -> None:
    assert [math_.cos_of_turn(i, 4) for i in range(-4, 5)] == [1, 0, -1, 0, 1, 0, -1, 0, 1]
    assert [math_.sin_of_turn(i, 4) for i in range(-4, 5)] == [0, 1, 0, -1, 0, 1, 0, -1, 0]


def test_log_add() -> None:
    for a, b in np.random.default_rng(2).uniform(-50, 0, (500, 2)).tolist():
        assert math_.log_add(a, b) == pytest.approx(np.logaddexp(a, b), abs=1e-14)
        assert math_.log_add(a, b) == math_.log_add(b, a)
    assert math_.log_add(-math.inf, -2.0) == -2.0
    assert math_.log_add(-math.inf, -math.inf) == -math.inf
