"""Streams that hear only what a grammar allows."""

import pickle

import pytest
from listen.scripted import GO, START, UP, ScriptedModel, samples_of
from paths import TONES
from tones import recording

from halfbyte import (
    EndpointRule,
    Grammar,
    Recognizer,
    Slot,
    Stream,
    StreamOptions,
    UsageError,
    finals,
)

SAMPLES = recording("low high mid")
ORDER = """#JSGF V1.0;
grammar order;
public <order> = <first> <rest>+;
<first> = low | mid;
<rest> = /2/ high | low | mid;
"""


@pytest.fixture(scope="module")
def recognizer() -> Recognizer:
    return Recognizer(TONES)


@pytest.fixture
def listen(recognizer):
    def run(grammar, **options):
        rule = EndpointRule(trailing_silence_ms=None)
        stream = recognizer.stream(StreamOptions(grammar=grammar, endpoint=rule, **options))
        return finals(stream.accept(SAMPLES) + stream.finish())

    return run


@pytest.mark.parametrize("mode", ["rescoring", "prefix_beam", "greedy", "attention"])
@pytest.mark.parametrize("chunk_ms", [0, 40])
def test_only_what_the_grammar_allows(listen, mode, chunk_ms):
    [final] = listen("low high\nlow high mid\nmid mid\n", mode=mode, chunk_ms=chunk_ms)
    assert final.text == "low high mid"
    [final] = listen("mid high low\nhigh high high\n", mode=mode, chunk_ms=chunk_ms)
    assert final.text in ("", "mid high low", "high high high")


def test_rules_are_slots(listen):
    [final] = listen(ORDER)
    assert final.slots == [
        Slot("order", "low high mid"),
        Slot("first", "low"),
        Slot("rest", "high"),
        Slot("rest", "mid"),
    ]
    assert listen("low high mid")[0].slots == []


def test_pieces_of_any_size_and_saved_states_give_the_same(recognizer):
    options = StreamOptions(chunk_ms=40, grammar=ORDER)
    whole = recognizer.stream(options)
    expected = whole.accept(SAMPLES) + whole.finish()
    stream, found = recognizer.stream(options), []
    for at in range(0, len(SAMPLES), 3001):
        found += stream.accept(SAMPLES[at : at + 3001])
        stream = pickle.loads(pickle.dumps(stream))
    assert found + stream.finish() == expected


def test_the_grammar_changes_with_the_next_segment():
    stream = Stream(ScriptedModel([0, START, GO, *[0] * 20, GO, *[0] * 40]), StreamOptions())
    stream.set_grammar("go")
    events = stream.accept(samples_of(23))
    with pytest.raises(UsageError, match="cannot be spelled"):
        stream.set_grammar("stop")
    stream.set_grammar("up")
    events += stream.accept(samples_of(40)) + stream.finish()
    assert [event.text for event in finals(events)] == ["go", ""]
    stream = Stream(ScriptedModel([0, UP, 0]), StreamOptions(grammar="go", mode="greedy"))
    stream.set_grammar(None)
    assert [e.text for e in finals(stream.accept(samples_of(3)) + stream.finish())] == ["up"]


@pytest.mark.parametrize(
    ("grammar", "message"),
    [
        ("", "grammar:1: no phrases"),
        (Grammar("low\nhigh tide", "home.txt"), "home.txt:2: the word 'tide' cannot be spelled"),
        (7, "the grammar is of type int; expected its text, or Grammar.read"),
    ],
)
def test_a_mistake_is_told_when_the_stream_starts(recognizer, grammar, message):
    with pytest.raises(UsageError, match=message):
        recognizer.stream(grammar=grammar)


def test_a_file(tmp_path, listen):
    path = tmp_path / "home.txt"
    path.write_bytes("\ufefflow high mid # all\r\n".encode())
    assert listen(Grammar.read(path))[0].text == "low high mid"
    path.write_bytes(b"low \xff")
    with pytest.raises(UsageError, match=r"home\.txt: no text: byte 5 is no UTF-8"):
        Grammar.read(path)
