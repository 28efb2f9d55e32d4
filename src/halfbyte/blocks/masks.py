"""Which encoder steps see which: the masks of dynamic chunk training.

Source: Zhang et al. 2020 (arXiv:2012.05481), and WeNet's mask.py; ours draws from a seeded
generator, and left context is bounded in steps.
"""

import torch
from torch import Tensor

FULL_CONTEXT = 0  # as a chunk length: one chunk holds the whole segment


def draw_chunk_steps(
    longest_steps: int, chunks: tuple[int, int], generator: torch.Generator
) -> int:
    """Draw a chunk length for a training batch.

    c uniform in 1..T-1; above T/2 the batch sees full context, else the chunk is
    shortest + c mod (longest - shortest + 1) of `chunks`.

    Args:
        longest_steps: T, steps of the longest utterance in the batch.
        chunks: shortest and longest chunk ever drawn, in steps; WeNet's shortest is 1.

    Returns:
        Steps of a chunk, or FULL_CONTEXT.
    """
    drawn = int(torch.randint(1, max(2, longest_steps), (1,), generator=generator))
    shortest, longest = chunks
    return (
        FULL_CONTEXT if drawn > longest_steps // 2 else shortest + drawn % (longest - shortest + 1)
    )


def chunk_visibility(num_steps: int, chunk_steps: int, left_context: int) -> Tensor:
    """Which key each query sees: its own chunk and `left_context` steps before that chunk.

    Args:
        num_steps: T.
        chunk_steps: steps of a chunk, or FULL_CONTEXT, where every step sees every other.
        left_context: L, in steps.

    Returns:
        (T, T) bool, row = query, column = key.
    """
    if chunk_steps == FULL_CONTEXT:
        return torch.ones(num_steps, num_steps, dtype=torch.bool)
    step = torch.arange(num_steps)
    chunk_start = step // chunk_steps * chunk_steps
    first, end = chunk_start - left_context, chunk_start + chunk_steps
    return (step >= first[:, None]) & (step < end[:, None])
