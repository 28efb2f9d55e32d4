"""Segments by hand: log-probabilities are chosen, so that what must come out is known."""

from array import array
from typing import Any

import numpy as np
import pytest
from listen.metadata import changed
from listen.streams import finals

from halfbyte import (
    Endpoint,
    EndpointRule,
    Event,
    InputError,
    ModelFileError,
    Stream,
    StreamOptions,
    Text,
    Word,
)
from halfbyte.listen.settings import ModelSettings, read_settings

TOKENS = ["<blank>", "▁", "▁go", "up", "<sos/eos>"]
START, GO, UP = 1, 2, 3
STEP_SAMPLES = 640
SHORT_CHUNKS = {"streaming.chunk_steps": 1, "streaming.chunk_choices_steps": [1, 2]}


def settings_with(tokens: list[str]) -> ModelSettings:
    """Of a model of steps of 40 ms."""
    return read_settings(changed({"tokens": tokens, "blank_id": 0, "eos_id": 4, **SHORT_CHUNKS}))


SETTINGS = settings_with(TOKENS)


class ScriptedModel:
    """Says the next token of a script at each step, whatever the features."""

    def __init__(self, script: list[int], attention: tuple[int, ...] = ()):
        self.settings = SETTINGS
        self._script = script
        self._attention = attention
        self._num_said = 0

    def initial_state(self, graph: str) -> None:
        return None

    def run(self, graph: str, inputs: dict[str, Any], outputs: list[str], state: Any) -> list[Any]:
        if graph == "decoder":
            return [self._next_tokens(inputs["tokens"])]
        return list(self.encode(inputs["features"]))

    def encode(self, features: Any) -> tuple[Any, Any]:
        num_steps = (memoryview(features).shape[1] - 3) // 4
        steps = range(self._num_said, self._num_said + num_steps)
        said = [self._script[step] if step < len(self._script) else 0 for step in steps]
        self._num_said += num_steps
        log_probs = np.full((1, num_steps, len(TOKENS)), -20.0, np.float32)
        log_probs[0, np.arange(num_steps), said] = -0.01
        return np.zeros((1, num_steps, 2), np.float32), log_probs

    def _next_tokens(self, tokens: Any) -> Any:
        wanted = [*self._attention, TOKENS.index("<sos/eos>")]
        num_rows, length = memoryview(tokens).shape
        log_probs = np.full((num_rows, length, len(TOKENS)), -20.0, np.float32)
        for place in range(length):
            log_probs[:, place, wanted[min(place, len(wanted) - 1)]] = -0.01
        return log_probs


def hear(model: ScriptedModel, num_steps: int, mode: str = "greedy") -> list[Event]:
    stream = Stream(model, StreamOptions(40, mode))
    samples = array("f", [0.1, -0.1] * ((num_steps * STEP_SAMPLES + 3 * 160 + 240) // 2))
    return stream.accept(samples) + stream.finish()


@pytest.mark.parametrize("mode", ["greedy", "prefix_beam"])
def test_the_start_of_a_word_is_no_word(mode):
    """Neither news, nor words that silence could end, nor the beginning of the word."""
    script = [START] + [0] * 40 + [UP, UP, 0, 0]
    events = hear(ScriptedModel(script), len(script), mode)
    assert [event.text for event in events if isinstance(event, Text)] == ["up", "up"]
    assert [event for event in events if isinstance(event, Endpoint)] == [
        Endpoint("finish", len(script) * 0.04)
    ]
    (final,) = finals(events)
    (word,) = final.words
    assert (word.text, word.start_s, word.end_s) == ("up", 1.64, 1.72)
    assert word.confidence == pytest.approx(np.exp(-0.01), abs=1e-4)


@pytest.mark.parametrize("mode", ["greedy", "prefix_beam"])
def test_tokens_are_joined_into_words(mode):
    """From the first step of the first token to the last of the last; confidences are averaged."""
    (final,) = finals(hear(ScriptedModel([0, GO, GO, 0, 0, GO, 0, UP, UP, 0]), 10, mode))
    assert final.text == "go goup"
    times = [(word.text, word.start_s, word.end_s) for word in final.words]
    assert times == [("go", 0.04, 0.12), ("goup", 0.2, 0.36)]
    assert all(word.confidence == pytest.approx(np.exp(-0.01), abs=1e-4) for word in final.words)


def test_a_lone_start_of_a_word_is_no_word():
    (final,) = finals(hear(ScriptedModel([0, START, 0]), 3))
    assert (final.text, final.words) == ("", [])


@pytest.mark.parametrize("mode", ["greedy", "prefix_beam"])
def test_silence_ends_a_segment_after_twenty_steps(mode):
    script = [GO] + [0] * 30 + [UP]
    events = finals(hear(ScriptedModel(script), 40, mode))
    assert [(e.text, e.start_s, e.end_s) for e in events] == [("go", 0, 0.84), ("up", 0.84, 1.6)]
    assert [w.start_s for e in events for w in e.words] == [0.0, 31 * 0.04]


def sound_from(start_s: float, chunk_ms: int, silence_ms: int) -> list[Event]:
    """A model that says go at once and then nothing; faint noise until a sound sets in."""
    noise = np.random.default_rng(1).normal(0, 1e-3, 48000).astype(np.float32)
    noise[round(start_s * 16000) :] *= 100
    stream = Stream(
        ScriptedModel([GO]), StreamOptions(chunk_ms, "greedy", EndpointRule(silence_ms))
    )
    return finals(stream.accept(noise) + stream.finish())


@pytest.mark.parametrize("chunk_ms", [40, 80])
@pytest.mark.parametrize("start_s", [0.7, 0.75, 0.78])
def test_a_word_that_has_begun_is_the_next_segments(chunk_ms, start_s):
    """With some of the quiet before it."""
    first, second = sound_from(start_s, chunk_ms, 800)
    assert first.end_s == second.start_s
    assert 0.05 <= start_s - second.start_s <= 0.3 + 0.04


@pytest.mark.parametrize("start_s", [0.0, 0.58, 0.9], ids=["ever", "at 500 ms", "later"])
def test_otherwise_a_segment_begins_where_the_last_was_ended(start_s):
    first, second = sound_from(start_s, 40, 800)
    assert first.end_s == second.start_s == pytest.approx(0.84)


def test_the_attention_decoder_may_say_more_than_a_path_holds():
    """Repeated words need a blank between them; without room, tokens are spread evenly."""
    events = hear(ScriptedModel([0, 0, 0, 0], attention=(GO, GO, GO)), 4, "attention")
    (final,) = finals(events)
    assert final.text == "go go go"
    assert [word.confidence for word in final.words] == [0.0] * 3
    times = [time_s for word in final.words for time_s in (word.start_s, word.end_s)]
    assert times == [0.0, 0.04, 0.04, 0.08, 0.08, 0.16]


def test_the_attention_decoder_may_say_blanks():
    (final,) = finals(hear(ScriptedModel([GO, 0, UP], attention=(GO, 0, UP)), 3, "attention"))
    assert final.text == "goup"
    assert final.words == [Word("goup", 0.0, 0.12, final.words[0].confidence)]


def test_a_model_whose_tokens_are_not_those_of_its_metadata():
    model = ScriptedModel([GO])
    model.settings = settings_with([*TOKENS, "more"])
    stream = Stream(model, StreamOptions(40))
    with pytest.raises(ModelFileError, match=r"5\) log-probabilities.* 6 tokens"):
        stream.accept(array("f", [0.1, -0.1] * 2000))


def test_a_model_that_gives_other_steps_than_its_metadata_promise():
    model = ScriptedModel([GO])
    encode = model.encode
    model.encode = lambda features: [values[:, :-1] for values in encode(features)]
    with pytest.raises(ModelFileError, match="promise 1 steps"):
        Stream(model, StreamOptions(40)).accept(array("f", [0.1, -0.1] * 2000))


def test_log_probabilities_that_are_none():
    model = ScriptedModel([GO])
    encode = model.encode
    model.encode = lambda features: [values * np.float32("nan") for values in encode(features)]
    with pytest.raises(InputError, match="NaN"):
        Stream(model, StreamOptions(40)).accept(array("f", [0.1, -0.1] * 2000))
