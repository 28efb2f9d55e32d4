"""Word errors of greedy search, with the numbers that ship."""

import torch
from torch import Tensor

from halfbyte.blocks.masks import FULL_CONTEXT
from halfbyte.blocks.transducer import CONTEXT
from halfbyte.blocks.transducer_loss import BLANK
from halfbyte.data.speech import SpeechBatch
from halfbyte.data.tokenizer import Tokenizer
from halfbyte.families.transducer.model import Transducer
from halfbyte.scores.words import Errors, count_errors


def greedy_errors(model: Transducer, batch: SpeechBatch, tokenizer: Tokenizer) -> Errors:
    """Errors of the likeliest token, one after the other, at full context."""
    with torch.no_grad(), torch.autocast(batch.features.device.type, enabled=False):
        encoded, num_steps = model.encoder(batch.features, batch.num_frames, FULL_CONTEXT)
        found = greedy_tokens(model, model.projected(encoded), num_steps)
    errors = Errors()
    for text, tokens in zip(batch.texts, found, strict=True):
        errors += count_errors(text, tokenizer.decode(tokens))
    return errors


def greedy_tokens(model: Transducer, rows: Tensor, num_steps: Tensor) -> list[list[int]]:
    """As the device with a beam of 1 (transducer_search.h): rows (B, T, J) -> B token lists."""
    batch, length = rows.shape[:2]
    found: list[list[int]] = [[] for _ in range(batch)]
    context = torch.full((batch, CONTEXT), BLANK, device=rows.device)
    predicted = model.predictor(context)
    for step in range(length):
        is_open = step < num_steps
        for _ in range(model.config.max_symbols):
            best = model.joint(rows[:, step], predicted).argmax(dim=-1)
            is_open = is_open & (best != BLANK)
            if not is_open.any():
                break
            longer = torch.cat([context[:, 1:], best[:, None]], dim=1)
            context = torch.where(is_open[:, None], longer, context)
            predicted = model.predictor(context)
            for row in is_open.nonzero()[:, 0].tolist():
                found[row].append(int(best[row]))
    return found
