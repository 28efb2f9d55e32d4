"""CTC by enumeration of every path: slow, obviously right, for a few frames and tokens."""

from __future__ import annotations

import itertools
import math
from collections import defaultdict

import numpy as np

Tokens = tuple[int, ...]


def random_log_probs(num_frames: int, num_tokens: int, seed: int) -> np.ndarray:
    """(T, V) float32 log probabilities of a softmax over normal values."""
    logits = np.random.default_rng(seed).normal(0, 2, (num_frames, num_tokens))
    return (logits - np.logaddexp.reduce(logits, axis=1, keepdims=True)).astype(np.float32)


def collapse(path: Tokens, blank_id: int = 0) -> Tokens:
    """The token sequence of a path: repeats merged, then blanks dropped."""
    return tuple(token for token, _ in itertools.groupby(path) if token != blank_id)


def all_paths(log_probs: np.ndarray) -> list[tuple[Tokens, float]]:
    """Every path with its log probability: V ** T of them."""
    num_frames, num_tokens = log_probs.shape
    rows = log_probs.astype(np.float64)
    return [
        (path, math.fsum(rows[t, token] for t, token in enumerate(path)))
        for path in itertools.product(range(num_tokens), repeat=num_frames)
    ]


def sequence_scores(log_probs: np.ndarray, blank_id: int = 0) -> dict[Tokens, float]:
    """For every token sequence, the log of the summed probability of its paths."""
    paths: dict[Tokens, list[float]] = defaultdict(list)
    for path, score in all_paths(log_probs):
        paths[collapse(path, blank_id)].append(score)
    return {tokens: float(np.logaddexp.reduce(scores)) for tokens, scores in paths.items()}


def best_path(log_probs: np.ndarray, tokens: Tokens, blank_id: int = 0) -> tuple[Tokens, float]:
    """The likeliest single path that collapses to `tokens`, and its score."""
    fitting = [item for item in all_paths(log_probs) if collapse(item[0], blank_id) == tokens]
    return max(fitting, key=lambda item: item[1])


def runs(path: Tokens, blank_id: int = 0) -> list[tuple[int, int, int]]:
    """(token, first frame, frame after the last) of each run that is not blank."""
    found, start = [], 0
    for token, group in itertools.groupby(path):
        end = start + len(list(group))
        if token != blank_id:
            found.append((token, start, end))
        start = end
    return found
