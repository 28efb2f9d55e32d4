"""Greedy and prefix beam search against every path enumerated."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from brute_force import all_paths, best_path, collapse, random_log_probs, runs, sequence_scores
from hypothesis import given, settings
from hypothesis import strategies as st

from halfbyte import _core
from halfbyte.errors import InputError, UsageError

decode = _core.decode
Search = decode.CtcPrefixBeam
NEGATIVE_INFINITY = np.float32(-np.inf)


def peaks(log_probs: np.ndarray, path: tuple[int, ...], blank_id: int = 0) -> list[int]:
    return [
        start + int(np.argmax(log_probs[start:end, token]))
        for token, start, end in runs(path, blank_id)
    ]


def result_of(search: Any) -> list[Any]:
    return search.best(3) if isinstance(search, Search) else [search.tokens]


def picture(search: object) -> list[tuple[object, ...]]:
    return [(h.tokens, h.frames, h.score, h.viterbi_score) for h in search.best(1000)]


@pytest.mark.parametrize("blank_id", [0, 2])
@pytest.mark.parametrize("seed", range(5))
def test_greedy_is_the_best_single_path(seed: int, blank_id: int) -> None:
    log_probs = random_log_probs(6, 3, seed)
    path, score = max(all_paths(log_probs), key=lambda item: item[1])
    found = decode.ctc_greedy(log_probs, blank_id)
    assert tuple(found.tokens) == collapse(path, blank_id)
    assert found.frames == peaks(log_probs, path, blank_id)
    assert found.score == pytest.approx(score, abs=1e-12)


@pytest.mark.parametrize("step", [1, 3, 7])
def test_greedy_in_pieces(step: int) -> None:
    log_probs = random_log_probs(50, 3, seed=11)
    search = decode.CtcGreedy()
    for _ in range(2):
        search.reset()
        for start in range(0, 50, step):
            search.accept(log_probs[start : start + step])
    expected = decode.ctc_greedy(log_probs)
    assert (search.tokens, search.frames) == (expected.tokens, expected.frames)
    assert (search.score, search.num_frames) == (expected.score, 50)


@pytest.mark.parametrize(("num_frames", "num_tokens"), [(1, 2), (4, 4), (6, 3), (9, 2)])
@pytest.mark.parametrize("blank_id", [0, 1])
@pytest.mark.parametrize("seed", range(3))
def test_unpruned_search_is_exact(
    num_frames: int, num_tokens: int, blank_id: int, seed: int
) -> None:
    log_probs = random_log_probs(num_frames, num_tokens, seed)
    expected = sequence_scores(log_probs, blank_id)
    search = Search(blank_id, beam=1000, num_top_tokens=num_tokens)
    search.accept(log_probs)
    found = search.best(1000)
    assert {tuple(h.tokens) for h in found} == set(expected)
    assert [h.score for h in found] == sorted((h.score for h in found), reverse=True)
    for hypothesis in found:
        tokens = tuple(hypothesis.tokens)
        path, score = best_path(log_probs, tokens, blank_id)
        assert hypothesis.score == pytest.approx(expected[tokens], abs=1e-12)
        assert hypothesis.viterbi_score == pytest.approx(score, abs=1e-12)
        assert hypothesis.frames == peaks(log_probs, path, blank_id)
    assert np.logaddexp.reduce([h.score for h in found]) == pytest.approx(0, abs=1e-5)


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10**6), beam=st.integers(1, 12), top=st.integers(1, 4))
def test_pruned_search_never_claims_too_much(seed: int, beam: int, top: int) -> None:
    log_probs = random_log_probs(5, 4, seed)
    exact = sequence_scores(log_probs)
    search = Search(beam=beam, num_top_tokens=top)
    search.accept(log_probs)
    found = search.best(beam)
    assert 1 <= len(found) <= beam
    assert len({tuple(h.tokens) for h in found}) == len(found)
    for hypothesis in found:
        assert hypothesis.viterbi_score <= hypothesis.score + 1e-9
        assert hypothesis.score <= exact[tuple(hypothesis.tokens)] + 1e-9
        assert len(hypothesis.frames) == len(hypothesis.tokens)
        assert hypothesis.frames == sorted(set(hypothesis.frames))


def reference_search(log_probs: np.ndarray, beam: int, top: int) -> list[tuple[list[int], float]]:
    """The same pruning, written with dictionaries of whole prefixes."""
    kept = {(): (0.0, -np.inf)}  # tokens -> log probabilities ending in blank, in the last token
    for row in log_probs.astype(np.float64):
        grown: dict[tuple[int, ...], list[float]] = {}
        for prefix, (blank, other) in kept.items():
            for token in np.argsort(-row, kind="stable")[:top].tolist():
                same = grown.setdefault(prefix, [-np.inf, -np.inf])
                if token == 0:
                    same[0] = np.logaddexp(same[0], np.logaddexp(blank, other) + row[0])
                    continue
                is_repeat = prefix[-1:] == (token,)
                if is_repeat:
                    same[1] = np.logaddexp(same[1], other + row[token])
                mass = blank if is_repeat else np.logaddexp(blank, other)
                longer = grown.setdefault((*prefix, token), [-np.inf, -np.inf])
                longer[1] = np.logaddexp(longer[1], mass + row[token])
        best = sorted(grown.items(), key=lambda item: -np.logaddexp(*item[1]))[:beam]
        kept = {prefix: (float(b), float(o)) for prefix, (b, o) in best}
    return [(list(prefix), float(np.logaddexp(*scores))) for prefix, scores in kept.items()]


@pytest.mark.parametrize("seed", range(4))
def test_pruning_equals_a_plain_search(seed: int) -> None:
    # Long enough for prefixes to leave the beam and come back while their children stay.
    log_probs = random_log_probs(150, 12, seed)
    search = Search(beam=6, num_top_tokens=5)
    search.accept(log_probs)
    expected = reference_search(log_probs, beam=6, top=5)
    found = search.best(6)
    assert [h.tokens for h in found] == [tokens for tokens, _ in expected]
    np.testing.assert_allclose([h.score for h in found], [s for _, s in expected], atol=1e-9)


@pytest.mark.parametrize("step", [1, 2, 7, 61])
def test_split_of_frames_changes_no_bit(step: int) -> None:
    log_probs = random_log_probs(61, 20, seed=3)
    whole, pieces = Search(), Search()
    whole.accept(log_probs)
    for start in range(0, 61, step):
        pieces.accept(log_probs[start : start + step])
    assert picture(pieces) == picture(whole)
    pieces.reset()
    assert picture(pieces) == [([], [], 0.0, 0.0)]
    pieces.accept(log_probs)
    assert picture(pieces) == picture(whole)


def test_copy_and_saved_state_continue_alike() -> None:
    log_probs = random_log_probs(60, 20, seed=4)
    search = Search()
    search.accept(log_probs[:23])
    resumed = Search()
    resumed.restore(search.save())
    for stream in (search.copy(), resumed, search):
        stream.accept(log_probs[23:])
        whole = Search()
        whole.accept(log_probs)
        assert picture(stream) == picture(whole)
        assert stream.num_frames == 60


@pytest.mark.parametrize("blank_id", [0, 3])
def test_greedy_saved_at_every_frame(blank_id: int) -> None:
    log_probs = random_log_probs(60, 4, seed=4)  # few tokens, so that runs are long
    whole = decode.ctc_greedy(log_probs, blank_id)
    assert len(whole.tokens) > 10
    search = decode.CtcGreedy(blank_id)
    for row in log_probs:
        search.accept(row[None])
        saved = search.save()
        search = decode.CtcGreedy(blank_id)
        search.restore(saved)
        assert search.save() == saved
    assert (search.tokens, search.frames) == (whole.tokens, whole.frames)
    assert (search.score, search.num_frames) == (whole.score, 60)


SEARCHES = [  # of the state that is damaged, and of other settings
    (lambda: Search(beam=3), lambda: Search(beam=4)),
    (lambda: decode.CtcGreedy(0), lambda: decode.CtcGreedy(1)),
]


@pytest.mark.parametrize(("make", "make_other"), SEARCHES, ids=["prefix_beam", "greedy"])
def test_damaged_state_is_refused_or_harmless(make: Any, make_other: Any) -> None:
    log_probs = random_log_probs(6, 5, seed=5)
    search = make()
    search.accept(log_probs)
    state = search.save()
    for bad in (b"", state[:-1], state + b"x", make_other().save()):
        with pytest.raises(InputError):
            search.restore(bad)
    refused = 0
    for place in range(len(state)):
        for bit in (0x01, 0x80):
            damaged = state[:place] + bytes([state[place] ^ bit]) + state[place + 1 :]
            try:
                search.restore(damaged)
            except InputError:
                refused += 1
                continue
            search.accept(log_probs)
            assert len(result_of(search)) > 0
    assert refused > len(state) // 4


def test_ties_are_broken_alike() -> None:
    log_probs = np.full((4, 6), np.log(1 / 6), np.float32)
    search = Search(beam=4, num_top_tokens=6)
    search.accept(log_probs)
    assert picture(search) == picture_of_twin(log_probs)
    assert decode.ctc_greedy(log_probs).tokens == []


def picture_of_twin(log_probs: np.ndarray) -> list[tuple[object, ...]]:
    twin = Search(beam=4, num_top_tokens=6)
    for row in log_probs:
        twin.accept(row[None])
    return picture(twin)


def test_tokens_of_probability_zero() -> None:
    log_probs = np.full((3, 3), NEGATIVE_INFINITY)
    log_probs[[0, 1, 2], [1, 1, 2]] = 0
    search = Search(num_top_tokens=3)
    search.accept(log_probs)
    assert picture(search) == [([1, 2], [0, 2], 0.0, 0.0)]


def test_no_frames() -> None:
    search = Search()
    search.accept(np.zeros((0, 5), np.float32))
    assert picture(search) == [([], [], 0.0, 0.0)]
    assert decode.ctc_greedy(np.zeros((0, 5), np.float32)).tokens == []


@pytest.mark.parametrize("kind", ["CtcGreedy", "CtcPrefixBeam"])
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_values_that_are_no_log_probabilities(kind: str, bad: float) -> None:
    search = getattr(decode, kind)()
    log_probs = random_log_probs(3, 10, seed=6)
    log_probs[1, 4] = bad
    with pytest.raises(InputError, match=r"log_probs\[1, 4\] is NaN or \+inf"):
        search.accept(log_probs)
    with pytest.raises(InputError, match=r"log_probs\[0\] is -inf everywhere"):
        search.accept(np.full((1, 10), NEGATIVE_INFINITY))
    with pytest.raises(InputError, match="has 1 tokens"):
        search.accept(np.zeros((1, 1), np.float32))
    with pytest.raises(TypeError):
        search.accept(log_probs.astype(np.float64))


def test_blank_outside_the_vocabulary() -> None:
    with pytest.raises(InputError, match="blank_id 7"):
        Search(blank_id=7).accept(random_log_probs(2, 5, seed=7))


@pytest.mark.parametrize("setting", [{"beam": 0}, {"num_top_tokens": 0}, {"blank_id": -1}], ids=str)
def test_settings_out_of_range(setting: dict[str, int]) -> None:
    with pytest.raises(UsageError, match="ctc_prefix_beam"):
        Search(**setting)
