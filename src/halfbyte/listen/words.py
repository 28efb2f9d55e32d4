"""Tokens with their frames, made into words with times and confidences."""

from dataclasses import dataclass

from halfbyte.listen.events import Word

WORD_START = "▁"


@dataclass(frozen=True)
class TimedToken:
    """A token of a hypothesis on the segment's encoder steps."""

    id: int
    start_step: int
    end_step: int  # one past the last
    confidence: float


def text_of(token_ids: list[int], tokens: list[str]) -> str:
    """Tokens as text; `tokens` is the model's list."""
    return "".join(tokens[i] for i in token_ids).replace(WORD_START, " ").strip()


def words_of(
    timed: list[TimedToken], tokens: list[str], step_s: float, offset_s: float
) -> list[Word]:
    """Join tokens into words.

    A word lasts from the first step of its first token with text (a lone start of a word may
    come long before) to the last step of its last token; its confidence is the mean of its
    tokens'.

    Args:
        step_s: duration of an encoder step.
        offset_s: where the segment starts in the stream.
    """
    groups: list[list[TimedToken]] = []
    for token in timed:
        if not groups or tokens[token.id].startswith(WORD_START):
            groups.append([])
        groups[-1].append(token)
    words = []
    for group in groups:
        text = text_of([t.id for t in group], tokens)
        if text:
            first = next(t for t in group if text_of([t.id], tokens))
            start_s = offset_s + first.start_step * step_s
            end_s = offset_s + group[-1].end_step * step_s
            confidence = sum(t.confidence for t in group) / len(group)
            words.append(Word(text, round(start_s, 3), round(end_s, 3), round(confidence, 4)))
    return words
