"""The search of a transducer against every alignment, and against a plain greedy one."""

from __future__ import annotations

import math
from collections import defaultdict

import numpy as np
import pytest

from halfbyte import _core
from halfbyte.errors import InputError, ModelFileError, UsageError

Tokens = tuple[int, ...]
BLANK = 0


def random_table(num_steps: int, num_tokens: int, seed: int) -> np.ndarray:
    """Log-probabilities (T, V, V, V) of the next token at a step, after the last two tokens."""
    shape = num_steps, num_tokens, num_tokens, num_tokens
    logits = np.random.default_rng(seed).normal(0, 2, shape)
    return (logits - np.logaddexp.reduce(logits, axis=-1, keepdims=True)).astype(np.float32)


def search_of(table: np.ndarray, **settings: int) -> _core.decode.TransducerSearch:
    """A search whose encoder rows are numbers of steps, and whose predictor hands tokens on."""

    def predictor(tokens: memoryview) -> np.ndarray:
        return np.asarray(tokens).astype(np.float32)

    def joiner(encoded: memoryview, predicted: memoryview) -> np.ndarray:
        step, tokens = np.asarray(encoded)[:, 0], np.asarray(predicted)
        return table[step.astype(int), tokens[:, 0].astype(int), tokens[:, 1].astype(int)]

    return _core.decode.TransducerSearch(predictor, joiner, table.shape[-1], **settings)


def steps(first: int, end: int) -> np.ndarray:
    """Encoder rows."""
    return np.arange(first, end, dtype=np.float32)[:, None]


def next_log_probs(table: np.ndarray, step: int, tokens: Tokens) -> np.ndarray:
    """What the table says after some tokens."""
    a, b = (BLANK, BLANK, *tokens)[-2:]
    return table[step, a, b].astype(np.float64)


def all_sequences(table: np.ndarray, max_symbols: int) -> dict[Tokens, float]:
    """Log of the summed probability of all alignments of every sequence."""
    ways: dict[Tokens, list[float]] = {(): [0.0]}
    for step in range(len(table)):
        after: dict[Tokens, list[float]] = defaultdict(list)
        open_ways = {tokens: float(np.logaddexp.reduce(each)) for tokens, each in ways.items()}
        for symbol in range(max_symbols):
            longer: dict[Tokens, list[float]] = defaultdict(list)
            for tokens, score in open_ways.items():
                log_probs = next_log_probs(table, step, tokens)
                after[tokens].append(score + log_probs[BLANK])
                is_last = symbol + 1 == max_symbols
                for token in range(1, table.shape[-1]):
                    into = after if is_last else longer
                    into[(*tokens, token)].append(score + log_probs[token])
            open_ways = {t: float(np.logaddexp.reduce(each)) for t, each in longer.items()}
        ways = after
    return {tokens: float(np.logaddexp.reduce(each)) for tokens, each in ways.items()}


def greedy(table: np.ndarray, max_symbols: int) -> tuple[list[int], list[int], float]:
    """Tokens, their steps, and the score of the likeliest choice, one after the other."""
    tokens: list[int] = []
    when: list[int] = []
    score = 0.0
    for step in range(len(table)):
        for _ in range(max_symbols):
            log_probs = next_log_probs(table, step, tuple(tokens))
            best = int(np.argmax(log_probs))
            score += log_probs[best]
            if best == BLANK:
                break
            tokens.append(best)
            when.append(step)
    return tokens, when, score


@pytest.mark.parametrize("max_symbols", [1, 2, 3])
@pytest.mark.parametrize("seed", range(4))
def test_a_beam_that_drops_nothing_sums_all_alignments(seed: int, max_symbols: int) -> None:
    num_steps = {1: 5, 2: 3, 3: 2}[max_symbols]
    table = random_table(num_steps, 3, seed)
    expected = all_sequences(table, max_symbols)
    search = search_of(table, beam=1000, max_symbols=max_symbols)
    search.accept(steps(0, num_steps))
    found = {tuple(one.tokens): one.score for one in search.best(1000)}
    assert found.keys() == expected.keys()
    for tokens, score in found.items():
        assert score == pytest.approx(expected[tokens], abs=1e-9)
    assert math.fsum(map(math.exp, found.values())) == pytest.approx(1, abs=1e-6)
    ranked = [one.score / (len(one.tokens) + 2) for one in search.best(1000)]
    assert ranked == sorted(ranked, reverse=True)


@pytest.mark.parametrize("max_symbols", [1, 3])
@pytest.mark.parametrize("seed", range(5))
def test_a_beam_of_one_is_greedy(seed: int, max_symbols: int) -> None:
    table = random_table(30, 5, seed)
    search = search_of(table, beam=1, max_symbols=max_symbols)
    search.accept(steps(0, 30))
    (found,) = search.best(5)
    tokens, when, score = greedy(table, max_symbols)
    assert (found.tokens, found.steps) == (tokens, when)
    assert found.score == pytest.approx(score, abs=1e-9)
    assert len(tokens) > 5


@pytest.mark.parametrize("beam", [1, 4])
@pytest.mark.parametrize("piece", [1, 7])
def test_pieces_and_saved_states_change_nothing(piece: int, beam: int) -> None:
    table = random_table(40, 5, seed=3)
    whole = search_of(table, beam=beam, max_symbols=2)
    whole.accept(steps(0, 40))
    search = search_of(table, beam=beam, max_symbols=2)
    for first in range(0, 40, piece):
        search.accept(steps(first, min(first + piece, 40)))
        saved = search.save()
        search = search_of(table, beam=beam, max_symbols=2)
        search.restore(saved)
    pictures = [
        [(one.tokens, one.steps, one.score) for one in each.best(4)] for each in (whole, search)
    ]
    assert pictures[0] == pictures[1]
    assert search.num_steps == 40
    search.reset()
    assert (search.num_steps, search.best()[0].tokens) == (0, [])


def test_a_wider_beam_finds_a_likelier_sequence() -> None:
    scores = []
    for beam in (1, 8):
        found = []
        for seed in range(20):
            search = search_of(random_table(20, 6, seed), beam=beam, max_symbols=2)
            search.accept(steps(0, 20))
            found.append(max(one.score for one in search.best(8)))
        scores.append(found)
    assert np.mean(scores[1]) > np.mean(scores[0])
    assert sum(wide > narrow for narrow, wide in zip(*scores, strict=True)) > 10


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({"beam": 0}, "beam is 0; expected 1 to 1000"),
        ({"max_symbols": 0}, "max_symbols is 0; expected 1 to 100"),
        ({"blank_id": 3}, "blank_id is 3; expected 0 to 2"),
    ],
)
def test_settings_out_of_range_are_refused(settings: dict[str, int], problem: str) -> None:
    with pytest.raises(UsageError, match=problem):
        search_of(random_table(1, 3, 0), **settings)


def test_log_probabilities_that_are_none_are_refused() -> None:
    table = random_table(2, 3, 0)
    table[1, 0, 0, 2] = np.nan
    search = search_of(table, beam=2)
    with pytest.raises(InputError, match="NaN"):
        search.accept(steps(0, 2))
    other = _core.decode.TransducerSearch(
        lambda tokens: np.zeros((len(tokens), 1), np.float32),
        lambda encoded, predicted: np.zeros((len(encoded), 4), np.float32),
        3,
    )
    with pytest.raises(ModelFileError, match="4 tokens, the model has 3"):
        other.accept(steps(0, 1))


def test_damaged_states_are_refused() -> None:
    search = search_of(random_table(9, 4, seed=2), beam=3)
    search.accept(steps(0, 9))
    saved = search.save()
    with pytest.raises(InputError, match="other settings"):
        search_of(random_table(9, 4, seed=2), beam=2).restore(saved)
    for place in range(4, len(saved)):
        damaged = bytearray(saved)
        damaged[place] ^= 0x80
        fresh = search_of(random_table(9, 4, seed=2), beam=3)
        try:
            fresh.restore(bytes(damaged))
        except InputError:
            continue
        assert all(0 < token < 4 for one in fresh.best(3) for token in one.tokens)
        assert all(math.isfinite(one.score) for one in fresh.best(3))
    with pytest.raises(InputError):
        search.restore(saved[:-1])
