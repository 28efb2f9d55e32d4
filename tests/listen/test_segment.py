"""Segments by hand: log-probabilities are chosen, so that what must come out is known."""

import numpy as np
import pytest
from listen.scripted import (
    GO,
    START,
    TOKENS,
    UP,
    ScriptedModel,
    samples_of,
    settings_with,
    time_of,
)
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

RATE_HZ = 16000
ROOM = [0, 0, 0]  # steps in it


def hear(model: ScriptedModel, num_steps: int, mode: str = "greedy") -> list[Event]:
    stream = Stream(model, StreamOptions(40, mode))
    samples = samples_of(num_steps)
    return stream.accept(samples) + stream.finish()


@pytest.mark.parametrize("mode", ["greedy", "prefix_beam"])
def test_the_start_of_a_word_is_no_word(mode):
    """Neither news, nor words that silence could end, nor the beginning of the word."""
    script = [START] + [0] * 40 + [UP, UP, 0, 0]
    events = hear(ScriptedModel(script), len(script), mode)
    assert [event.text for event in events if isinstance(event, Text)] == ["up", "up"]
    end_s = len(samples_of(len(script))) / RATE_HZ
    assert [event for event in events if isinstance(event, Endpoint)] == [Endpoint("finish", end_s)]
    (final,) = finals(events)
    (word,) = final.words
    assert (word.text, word.start_s, word.end_s) == ("up", time_of(40.5), time_of(43))
    assert word.confidence == pytest.approx(np.exp(-0.01), abs=1e-4)


@pytest.mark.parametrize("mode", ["greedy", "prefix_beam"])
def test_tokens_are_joined_into_words(mode):
    """From a step before the mean of the first token's to the last of the last's."""
    script = [*ROOM, 0, GO, GO, 0, 0, GO, 0, UP, UP, 0, *ROOM]
    (final,) = finals(hear(ScriptedModel(script), len(script), mode))
    assert final.text == "go goup"
    times = [(word.text, word.start_s, word.end_s) for word in final.words]
    assert times == [("go", time_of(3.5), time_of(6)), ("goup", time_of(7), time_of(12))]
    assert all(word.confidence == pytest.approx(np.exp(-0.01), abs=1e-4) for word in final.words)


def test_a_lone_start_of_a_word_is_no_word():
    (final,) = finals(hear(ScriptedModel([*ROOM, START, *ROOM]), 7))
    assert (final.text, final.words) == ("", [])


@pytest.mark.parametrize("mode", ["greedy", "prefix_beam"])
def test_silence_ends_a_segment_after_twenty_steps(mode):
    script = [GO] + [0] * 30 + [UP]
    events = finals(hear(ScriptedModel(script), 40, mode))
    ends_s = [time_of(21), len(samples_of(40)) / RATE_HZ]
    assert [(e.text, e.start_s) for e in events] == [("go", 0), ("up", ends_s[0])]
    assert [e.end_s for e in events] == ends_s
    assert [w.start_s for e in events for w in e.words] == [0.0, time_of(30)]


def sound_from(start_s: float, chunk_ms: int, silence_ms: int) -> list[Event]:
    """A model that says go at once and then nothing; faint noise until a sound sets in."""
    noise = np.random.default_rng(1).normal(0, 1e-3, 48000).astype(np.float32)
    noise[round(start_s * 16000) :] *= 100
    stream = Stream(
        ScriptedModel([*ROOM, GO]), StreamOptions(chunk_ms, "greedy", EndpointRule(silence_ms))
    )
    return finals(stream.accept(noise) + stream.finish())


@pytest.mark.parametrize("chunk_ms", [40, 80])
@pytest.mark.parametrize("start_s", [0.7, 0.75, 0.78])
def test_a_word_that_has_begun_is_the_next_segments(chunk_ms, start_s):
    """With some of the quiet before it."""
    first, second = sound_from(start_s, chunk_ms, 800)
    assert first.end_s == second.start_s
    assert 0.05 <= start_s - second.start_s <= 0.3 + 0.04


@pytest.mark.parametrize("start_s", [0.0, 0.6, 0.9], ids=["ever", "at 500 ms", "later"])
def test_otherwise_a_segment_begins_where_the_last_was_ended(start_s):
    first, second = sound_from(start_s, 40, 800)
    assert first.end_s == second.start_s == pytest.approx(time_of(24))


def test_the_attention_decoder_may_say_more_than_a_path_holds():
    """Repeated words need a blank between them; without room, tokens are spread evenly."""
    events = hear(ScriptedModel([0] * 10, attention=(GO,) * 6), 10, "attention")
    (final,) = finals(events)
    end_s = len(samples_of(10)) / RATE_HZ
    assert final.text == " ".join(["go"] * 6)
    assert [word.confidence for word in final.words] == [0.0] * 6
    assert [word.start_s for word in final.words] == [0, 0, *map(time_of, (3, 5, 6)), end_s - 0.04]
    assert final.words[-1].end_s == end_s


def test_the_attention_decoder_may_say_blanks():
    script = [*ROOM, GO, 0, UP, *ROOM]
    (final,) = finals(hear(ScriptedModel(script, attention=(GO, 0, UP)), 9, "attention"))
    assert final.text == "goup"
    assert final.words == [Word("goup", 0.0, time_of(6), final.words[0].confidence)]


def test_a_model_whose_tokens_are_not_those_of_its_metadata():
    model = ScriptedModel([GO])
    model.settings = settings_with([*TOKENS, "more"])
    stream = Stream(model, StreamOptions(40))
    with pytest.raises(ModelFileError, match=r"5\) log-probabilities.* 6 tokens"):
        stream.accept(samples_of(20))


def test_a_model_that_gives_other_steps_than_its_metadata_promise():
    model = ScriptedModel([GO])
    encode = model.encode
    model.encode = lambda features: [values[:, :-1] for values in encode(features)]
    with pytest.raises(ModelFileError, match="promise 1 steps"):
        Stream(model, StreamOptions(40)).accept(samples_of(20))


def test_log_probabilities_that_are_none():
    model = ScriptedModel([GO])
    encode = model.encode
    model.encode = lambda features: [values * np.float32("nan") for values in encode(features)]
    with pytest.raises(InputError, match="NaN"):
        Stream(model, StreamOptions(40)).accept(samples_of(20))
