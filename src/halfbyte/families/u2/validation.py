"""Word errors of the CTC head, with the numbers that ship."""

import torch
from torch import Tensor

from halfbyte.blocks.masks import FULL_CONTEXT
from halfbyte.data.speech import SpeechBatch
from halfbyte.data.tokenizer import Tokenizer
from halfbyte.families.u2.model import BLANK, U2
from halfbyte.scores.words import Errors, count_errors


def greedy_errors(model: U2, batch: SpeechBatch, tokenizer: Tokenizer) -> Errors:
    """Errors of the best token of each encoder step, at full context."""
    with torch.no_grad(), torch.autocast(batch.features.device.type, enabled=False):
        encoded, num_steps = model.encoder(batch.features, batch.num_frames, FULL_CONTEXT)
        log_probs = model.ctc_log_probs(encoded)
    errors = Errors()
    for text, tokens in zip(batch.texts, greedy_tokens(log_probs, num_steps), strict=True):
        errors += count_errors(text, tokenizer.decode(tokens))
    return errors


def greedy_tokens(log_probs: Tensor, num_steps: Tensor) -> list[list[int]]:
    """Best token of each step, repeats merged, blanks dropped; (B, T, V) -> B token lists."""
    best = log_probs.argmax(dim=-1)
    collapsed = []
    for row, steps in zip(best, num_steps.tolist(), strict=True):
        merged = torch.unique_consecutive(row[:steps]).tolist()
        collapsed.append([token for token in merged if token != BLANK])
    return collapsed
