"""Tokens become words with times; results become text, JSON and subtitles."""

import json

from halfbyte.listen.endpoint import EndpointRule
from halfbyte.listen.events import Event, Word
from halfbyte.listen.transcript import as_json, as_srt, as_text, as_vtt
from halfbyte.listen.words import TimedToken, text_of, words_of

TOKENS = ["<blank>", "<unk>", "▁go", "▁st", "op", "<sos/eos>"]


def test_words_by_hand():
    timed = [
        TimedToken(2, 1, 3, 0.9),
        TimedToken(3, 5, 6, 0.5),
        TimedToken(4, 6, 9, 0.7),
    ]
    assert words_of(timed, TOKENS, step_s=0.08, offset_s=10.0) == [
        Word("go", 10.08, 10.24, 0.9),
        Word("stop", 10.4, 10.72, 0.6),
    ]
    assert text_of([2, 3, 4], TOKENS) == "go stop"


def test_a_word_begins_with_its_first_letter():
    timed = [TimedToken(1, 0, 2, 0.4), TimedToken(0, 30, 31, 0.8)]
    assert words_of(timed, ["go", "▁"], step_s=0.1, offset_s=0.0) == [Word("go", 3.0, 3.1, 0.6)]


def test_a_lone_word_start_is_no_word():
    assert words_of([TimedToken(0, 0, 1, 1.0)], ["▁"], 0.08, 0.0) == []


FINALS = [
    Event("go", True, 0.0, 1.5, [Word("go", 0.25, 0.5, 0.9)]),
    Event("", True, 1.5, 3.0),
    Event("stop now", True, 3661.0, 3662.5, [Word("stop", 3661.5, 3661.9, 0.8)]),
]


def test_subtitles():
    assert as_srt(FINALS) == (
        "1\n00:00:00,250 --> 00:00:00,500\ngo\n\n2\n01:01:01,500 --> 01:01:01,900\nstop now\n"
    )
    assert as_vtt(FINALS[:1]) == "WEBVTT\n\n00:00:00.250 --> 00:00:00.500\ngo\n"


def test_text_and_json():
    assert as_text(FINALS) == "go stop now"
    parsed = json.loads(as_json(FINALS, "a.wav", 4.0))
    assert parsed["text"] == "go stop now"
    assert parsed["duration_s"] == 4.0
    assert parsed["segments"][0]["words"] == [
        {"text": "go", "start_s": 0.25, "end_s": 0.5, "confidence": 0.9}
    ]


def test_endpoint_by_silence_after_words_and_by_length():
    rule = EndpointRule(trailing_silence_ms=800)
    assert not rule.is_endpoint(100, None, step_ms=80, max_segment_ms=20000)
    assert not rule.is_endpoint(14, 4, step_ms=80, max_segment_ms=20000)
    assert rule.is_endpoint(15, 4, step_ms=80, max_segment_ms=20000)
    assert rule.is_endpoint(250, None, step_ms=80, max_segment_ms=20000)
    assert not EndpointRule(None).is_endpoint(249, 0, step_ms=80, max_segment_ms=20000)
