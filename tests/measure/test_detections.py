"""Curves of detections by hand, and words beside detections."""

import pytest

from halfbyte.data.manifest import Interval
from halfbyte.listen.events import Detection
from halfbyte.measure.detection import LATE_S, _count
from halfbyte.scores.detections import DetectionScore, Trials, mean_misses_at


def trials() -> Trials:
    words = [("a", 0.9), ("a", 0.6), ("b", 0.3), ("b", -1.0)]
    return Trials(words, [0.8, 0.5, 0.5, 0.1], hours=2.0)


def test_rates_and_thresholds():
    one = trials()
    assert one.misses(0.6) == 0.5
    assert one.alarms_per_hour(0.5) == 1.5
    assert one.threshold_at(0.5) == pytest.approx(0.500001)  # one alarm in two hours, the 0.8
    assert one.misses(one.threshold_at(0.5)) == 0.5
    assert one.threshold_at(0.4) == pytest.approx(0.800001)  # no alarm at all
    assert one.threshold_at(2) == 0.0
    assert mean_misses_at([one, Trials([("c", 1.0)], [], 2.0)], 0.5) == 0.25


def test_curve():
    assert trials().curve() == [(0.3, 0.25, 1.5), (0.6, 0.5, 0.5), (0.9, 0.75, 0.0)]


def test_the_interval_is_over_speakers():
    low, high = trials().misses_interval(0.6)
    assert (low, high) == (0.0, 1.0)  # speaker a is always found, b never


def test_a_word_has_the_best_detection_in_its_place():
    one, place = Trials(), Interval(1.0, 1.5, "go")
    times = [(0.9, 0.7), (1.2, 0.6), (1.5 + LATE_S, 0.8), (2.1, 0.4)]
    _count(one, [Detection("go", at, score) for at, score in times], [place], "a")
    assert one.words == [("a", 0.8)]
    assert one.alarms == [0.7, 0.4]
    _count(one, [Detection("go", 1.2, 0.9)], [place], None)  # excused, and not asked for
    assert (len(one.words), len(one.alarms)) == (1, 2)


def test_counts_add_up():
    total = DetectionScore(3, 2, 1, 1_800_000) + DetectionScore(1, 1, 0, 1_800_000)
    assert total.figures() == {"misses": 0.25, "alarms_per_hour": 1.0}
