"""Forced alignment against every path enumerated."""

from __future__ import annotations

import numpy as np
import pytest
from brute_force import best_path, random_log_probs, runs, sequence_scores

from halfbyte import _core
from halfbyte.errors import InputError

ctc_align = _core.decode.ctc_align


@pytest.mark.parametrize(("num_frames", "num_tokens"), [(1, 2), (5, 4), (7, 3)])
@pytest.mark.parametrize("blank_id", [0, 1])
def test_equals_the_best_of_all_paths(num_frames: int, num_tokens: int, blank_id: int) -> None:
    log_probs = random_log_probs(num_frames, num_tokens, seed=num_frames)
    for tokens in sequence_scores(log_probs, blank_id):
        path, _ = best_path(log_probs, tokens, blank_id)
        aligned = ctc_align(log_probs, list(tokens), blank_id)
        assert [(a.token, a.start_frame, a.end_frame) for a in aligned] == runs(path, blank_id)
        for a in aligned:
            mean = np.exp(log_probs[a.start_frame : a.end_frame, a.token].astype(float)).mean()
            assert a.confidence == pytest.approx(mean, rel=1e-6)


def test_worked_example() -> None:
    probabilities = np.array([[0.9, 0.05, 0.05], [0.1, 0.8, 0.1], [0.2, 0.6, 0.2], [0.1, 0.1, 0.8]])
    first, second = ctc_align(np.log(probabilities).astype(np.float32), [1, 2])
    assert (first.start_frame, first.end_frame) == (1, 3)
    assert (second.start_frame, second.end_frame) == (3, 4)
    assert first.confidence == pytest.approx(0.7)


def test_equal_paths_move_on_early() -> None:
    aligned = ctc_align(np.full((5, 3), np.log(1 / 3), np.float32), [1, 2])
    assert [(a.start_frame, a.end_frame) for a in aligned] == [(0, 1), (1, 2)]


@pytest.mark.parametrize("tokens", [[1, 2, 1, 2], [1, 1], [2, 2, 1]])
def test_too_few_frames(tokens: list[int]) -> None:
    log_probs = random_log_probs(len(tokens) + sum(np.diff(tokens) == 0) - 1, 3, seed=1)
    with pytest.raises(InputError, match="no CTC path"):
        ctc_align(log_probs, tokens)


def test_no_tokens_and_no_frames() -> None:
    assert ctc_align(random_log_probs(4, 3, seed=2), []) == []
    assert ctc_align(np.zeros((0, 3), np.float32), []) == []
    with pytest.raises(InputError, match="1 tokens on 0 frames"):
        ctc_align(np.zeros((0, 3), np.float32), [1])


@pytest.mark.parametrize("token", [-1, 0, 3])
def test_tokens_outside_the_vocabulary(token: int) -> None:
    with pytest.raises(InputError, match=f"token {token} to align"):
        ctc_align(random_log_probs(4, 3, seed=3), [token])
