"""What a stream finds in each mode is what the searches find that are called one by one."""

from typing import Any

import numpy as np
import pytest
from listen.metadata import METADATA, MODES
from listen.streams import NotingModel, feed, finals
from tones import recording

from halfbyte import InputError, Recognizer, ScoredText, Stream, StreamOptions, Text, _core

decode = _core.decode
BEAM, CTC_WEIGHT = (METADATA["decoding"][name] for name in ("beam", "ctc_weight"))
BLANK, BOUNDARY, NUM_TOKENS = METADATA["blank_id"], METADATA["eos_id"], len(METADATA["tokens"])
SAMPLES = recording("low high mid")


def text_of(tokens: list[int]) -> str:
    return "".join(METADATA["tokens"][token] for token in tokens).replace("▁", " ").strip()


def distinct(ranked: list[tuple[list[int], float]]) -> list[ScoredText]:
    """The texts in order, each once with its best score."""
    scores: dict[str, float] = {}
    for tokens, score in ranked:
        scores.setdefault(text_of(tokens), round(score, 4))
    return [ScoredText(text, score) for text, score in scores.items()]


def searched(recognizer: Recognizer, mode: str, memory: Any, log_probs: Any) -> list[ScoredText]:
    """The same by hand, the decoder as a Python function."""
    if mode == "greedy":
        greedy = decode.ctc_greedy(log_probs, BLANK)
        return distinct([(greedy.tokens, greedy.score)])

    def decoder(tokens: Any) -> Any:
        inputs = {"tokens": tokens, "memory": memory[None]}
        return recognizer.model.run("decoder", inputs, ["log_probs"], None)[0]

    if mode == "attention":
        num_steps = len(memory)
        found = decode.attention_search(decoder, BOUNDARY, BOUNDARY, num_steps, BEAM)
        return distinct([([t for t in h.tokens if t != BLANK], h.score) for h in found])
    search = decode.CtcPrefixBeam(BLANK, BEAM, 10)
    search.accept(log_probs)
    candidates = [(h.tokens, h.score) for h in search.best(BEAM)]
    if mode == "prefix_beam":
        return distinct(candidates)
    judged = decode.attention_rescoring(decoder, candidates, BOUNDARY, BOUNDARY, CTC_WEIGHT)
    return distinct([(candidates[one.index][0], one.score) for one in judged])


@pytest.mark.parametrize("mode", MODES)
def test_n_best_texts_with_scores(recognizer, mode):
    options = StreamOptions(320, mode, num_best=BEAM)
    model = NotingModel(recognizer.model)
    events = feed(Stream(model, options), SAMPLES, 1600)
    assert events == feed(recognizer.stream(options), SAMPLES, 1600)
    memory, log_probs = (
        np.frombuffer(b"".join(model.outputs[i::2]), np.float32).reshape(-1, width)
        for i, width in ((0, model.widths[0]), (1, NUM_TOKENS))
    )
    (final,) = finals(events)
    assert final.hypotheses == searched(recognizer, mode, memory, log_probs)
    assert final.hypotheses[0].text == final.text
    partials = [event for event in events if isinstance(event, Text) and not event.is_final]
    for partial in partials:
        assert partial.hypotheses[0].text == partial.text
        assert len(partial.hypotheses) > 1 or mode == "greedy"


def test_a_memory_of_another_width(recognizer):
    inputs = {"tokens": np.zeros((1, 1), np.int64), "memory": np.zeros((1, 3, 5), np.float32)}
    with pytest.raises(InputError, match="memory"):
        recognizer.model.run("decoder", inputs, ["log_probs"], None)
