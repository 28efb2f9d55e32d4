"""Rescoring by hand-worked numbers; attention search against every sequence enumerated."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from halfbyte import _core
from halfbyte.errors import InputError, UsageError

decode = _core.decode
Decoder = Callable[[memoryview], np.ndarray]
SOS = EOS = 3  # of a vocabulary of four, as in our models


def random_decoder(seed: int, num_tokens: int = 4) -> Decoder:
    """Next-token distributions that depend on the whole prefix, fixed by the seed."""

    def run(tokens: memoryview) -> np.ndarray:
        rows = np.asarray(tokens)
        out = np.empty((*rows.shape, num_tokens), np.float32)
        for n, length in np.ndindex(rows.shape):
            prefix = rows[n, : length + 1].tolist()
            logits = np.random.default_rng([seed, *prefix]).normal(0, 1.5, num_tokens)
            out[n, length] = logits - np.logaddexp.reduce(logits)
        return out

    return run


def score_of(decoder: Decoder, tokens: tuple[int, ...]) -> float:
    row = np.array([[SOS, *tokens]])
    log_probs = decoder(memoryview(row))[0].astype(float)
    return math.fsum(log_probs[j, token] for j, token in enumerate((*tokens, EOS)))


def every_sequence(max_tokens: int) -> list[tuple[int, ...]]:
    lengths = range(max_tokens + 1)
    return [s for n in lengths for s in itertools.product(range(EOS), repeat=n)]


def test_rescoring_by_hand() -> None:
    probabilities = np.array([[0.1, 0.6, 0.1, 0.2], [0.1, 0.1, 0.5, 0.3], [0.1, 0.1, 0.1, 0.7]])
    seen = []

    def decoder(tokens: memoryview) -> np.ndarray:
        seen.append(np.asarray(tokens).tolist())
        return np.log(np.tile(probabilities, (3, 1, 1))).astype(np.float32)

    candidates = [([2], math.log(0.5)), ([1, 2], math.log(0.25)), ([], math.log(0.125))]
    found = decode.attention_rescoring(decoder, candidates, SOS, EOS, ctc_weight=0.5)
    assert seen == [[[SOS, 2, EOS], [SOS, 1, 2], [SOS, EOS, EOS]]]
    assert [r.index for r in found] == [1, 2, 0]
    attention = [math.log(0.6 * 0.5 * 0.7), math.log(0.2), math.log(0.1 * 0.3)]
    assert [r.attention_score for r in found] == pytest.approx(attention, abs=1e-6)
    ctc = [math.log(0.25), math.log(0.125), math.log(0.5)]
    expected = [a + 0.5 * c for a, c in zip(attention, ctc, strict=True)]
    assert [r.score for r in found] == pytest.approx(expected, abs=1e-6)
    assert found[0].token_log_probs == pytest.approx([math.log(0.6), math.log(0.5)])


@pytest.mark.parametrize("ctc_weight", [0.0, 0.3, 1.0])
def test_batched_rescoring_equals_one_by_one(ctc_weight: float) -> None:
    decoder = random_decoder(seed=1)
    candidates = [(list(s), -0.5 * i) for i, s in enumerate(every_sequence(2))]
    found = decode.attention_rescoring(decoder, candidates, SOS, EOS, ctc_weight)
    for result in found:
        tokens, ctc_score = candidates[result.index]
        (alone,) = decode.attention_rescoring(decoder, [(tokens, ctc_score)], SOS, EOS, ctc_weight)
        assert (alone.score, alone.token_log_probs) == (result.score, result.token_log_probs)
        assert result.attention_score == pytest.approx(score_of(decoder, tuple(tokens)), abs=1e-12)
        assert result.score == result.attention_score + ctc_weight * ctc_score
    scores = [r.score for r in found]
    assert scores == sorted(scores, reverse=True)


def test_equal_candidates_keep_their_order() -> None:
    found = decode.attention_rescoring(random_decoder(2), [([1], -1.0)] * 3, SOS, EOS)
    assert [r.index for r in found] == [0, 1, 2]


@pytest.mark.parametrize(
    ("candidates", "eos_id", "message"),
    [
        ([], EOS, "no candidates"),
        ([([4], -1.0)], EOS, "token 4; the decoder knows 4 tokens, from 0"),
        ([([-1], -1.0)], EOS, "token -1"),
        ([([1], -1.0)], 9, "token 9"),
        ([([1], math.nan)], EOS, "score of NaN"),
    ],
    ids=str,
)
def test_rescoring_refuses(candidates: list[object], eos_id: int, message: str) -> None:
    def decoder(tokens: memoryview) -> np.ndarray:
        return np.zeros((*tokens.shape, 4), np.float32)

    with pytest.raises(InputError, match=message):
        decode.attention_rescoring(decoder, candidates, SOS, eos_id)


def test_a_decoder_that_fails_or_answers_wrongly() -> None:
    def fails(tokens: memoryview) -> np.ndarray:
        raise ZeroDivisionError(tokens.shape)

    with pytest.raises(ZeroDivisionError):
        decode.attention_rescoring(fails, [([1], 0.0)], SOS, EOS)

    def answers_one_column(tokens: memoryview) -> np.ndarray:
        return np.zeros((tokens.shape[0], 1, 4), np.float32)

    with pytest.raises(InputError, match=r"decoder gave \(1, 1, V\)"):
        decode.attention_rescoring(answers_one_column, [([1], 0.0)], SOS, EOS)


@pytest.mark.parametrize("max_tokens", [0, 1, 3])
@pytest.mark.parametrize("seed", range(5))
def test_wide_search_finds_the_best_of_all_sequences(seed: int, max_tokens: int) -> None:
    decoder = random_decoder(seed)
    best = max(every_sequence(max_tokens), key=lambda s: score_of(decoder, s))
    found = decode.attention_search(decoder, SOS, EOS, max_tokens, beam=200)
    assert tuple(found[0].tokens) == best
    assert found[0].score == pytest.approx(score_of(decoder, best), abs=1e-12)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10**6), beam=st.integers(1, 5))
def test_narrow_search_tells_true_scores(seed: int, beam: int) -> None:
    decoder = random_decoder(seed)
    found = decode.attention_search(decoder, SOS, EOS, 5, beam)
    assert 1 <= len(found) <= beam
    for hypothesis in found:
        assert len(hypothesis.tokens) <= 5
        assert EOS not in hypothesis.tokens
        expected = score_of(decoder, tuple(hypothesis.tokens))
        assert hypothesis.score == pytest.approx(expected, abs=1e-12)
    scores = [h.score for h in found]
    assert scores == sorted(scores, reverse=True)


def test_a_decoder_that_never_ends_stops_at_max_tokens() -> None:
    def endless(tokens: memoryview) -> np.ndarray:
        out = np.full((*tokens.shape, 4), -20.0, np.float32)
        out[..., 1] = -1e-9
        return out

    (found, *_) = decode.attention_search(endless, SOS, EOS, 30, beam=1)
    assert found.tokens == [1] * 30
    assert found.score == pytest.approx(-20.0)


def test_search_stops_once_the_best_is_finished() -> None:
    calls = []

    def sure(tokens: memoryview) -> np.ndarray:
        calls.append(tokens.shape)
        out = np.full((*tokens.shape, 4), -5.0, np.float32)
        out[..., 2 if tokens.shape[1] < 3 else EOS] = -0.1
        return out

    (found, *_) = decode.attention_search(sure, SOS, EOS, 100, beam=3)
    assert found.tokens == [2, 2]
    assert [columns for _, columns in calls] == [1, 2, 3]


def test_search_refuses() -> None:
    with pytest.raises(UsageError, match="beam is 0"):
        decode.attention_search(random_decoder(0), SOS, EOS, 5, beam=0)
    with pytest.raises(InputError, match="NaN"):
        decode.attention_search(
            lambda tokens: np.full((*tokens.shape, 4), np.nan, np.float32), SOS, EOS, 5
        )
