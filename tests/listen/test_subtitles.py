"""Cues are shown long enough, are short enough, and lose no word."""

import pytest

from halfbyte.listen.events import Text, Word
from halfbyte.listen.subtitles import as_srt, as_vtt


def text_of(*words: tuple[str, float, float]) -> Text:
    said = [Word(text, start_s, end_s, 0.9) for text, start_s, end_s in words]
    return Text(" ".join(word.text for word in said), True, 0.0, said[-1].end_s, said)


def cues_of(srt: str) -> list[tuple[float, float, list[str]]]:
    def seconds(clock: str) -> float:
        hours, minutes, rest = clock.replace(",", ".").split(":")
        return 3600 * int(hours) + 60 * int(minutes) + float(rest)

    cues = []
    for number, block in enumerate(srt.rstrip("\n").split("\n\n"), 1):
        head, times, *lines = block.split("\n")
        assert head == str(number)
        start, end = times.split(" --> ")
        cues.append((seconds(start), seconds(end), lines))
    return cues


def test_the_forms():
    late = text_of(("stop", 3661.5, 3661.9), ("now", 3662.0, 3662.5))
    finals = [text_of(("go", 0.25, 0.5)), Text("", True, 1.5, 3.0), late]
    assert as_srt(finals) == (
        "1\n00:00:00,250 --> 00:00:01,050\ngo\n\n2\n01:01:01,500 --> 01:01:02,500\nstop now\n"
    )
    assert as_vtt(finals[:1]) == "WEBVTT\n\n00:00:00.250 --> 00:00:01.050\ngo\n"
    assert (as_srt([]), as_vtt([])) == ("", "WEBVTT\n")


@pytest.mark.parametrize(("next_s", "end_s"), [(0.6, 0.6), (1.0, 1.0), (1.3, 1.2), (0.4, 0.4)])
def test_a_short_cue_stays_until_it_can_be_read_or_the_next_comes(next_s, end_s):
    srt = as_srt([text_of(("go", 0.4, 0.5)), text_of(("stop", next_s, next_s + 2))])
    assert [cue[:2] for cue in cues_of(srt)] == [(0.4, end_s), (next_s, next_s + 2)]


def test_a_text_whose_words_have_no_times():
    assert cues_of(as_srt([Text("go on", True, 1.0, 3.0)])) == [(1.0, 3.0, ["go on"])]


@pytest.mark.parametrize("letters", [1, 5, 17, 60])
@pytest.mark.parametrize("word_s", [0.1, 0.35, 2.0, 9.0])
def test_long_texts_break_at_readable_lengths(letters, word_s):
    words = [(chr(97 + i % 26) * letters, i * word_s, (i + 0.8) * word_s) for i in range(53)]
    cues = cues_of(as_srt([text_of(*words)]))
    lines = [line for *_, lines in cues for line in lines]
    assert " ".join(lines).split() == [text for text, *_ in words]
    assert max(map(len, lines)) <= max(42, letters)
    assert max(len(lines) for *_, lines in cues) <= 2
    assert max(end - start for start, end, _ in cues) <= max(7.0, word_s)
    assert min(len(" ".join(lines)) for *_, lines in cues) >= min(letters, 5)
    if letters == 5 and word_s == 0.35:
        assert len(cues) <= 6  # of 19 s and 317 characters: no cue of a word or two


def test_a_text_breaks_where_its_speaker_paused():
    starts_s = [i * 0.5 + (2 if i > 8 else 0) for i in range(16)]
    words = [("word", start_s, start_s + 0.4) for start_s in starts_s]
    first, second = cues_of(as_srt([text_of(*words)]))
    assert (first[0], second[0]) == (0.0, 6.5)


def test_two_lines_are_as_equal_as_can_be():
    words = [(text, i * 0.1, i * 0.1 + 0.1) for i, text in enumerate("a" * 9 + "b" * 30)]
    ((*_, lines),) = cues_of(as_srt([text_of(*words)]))
    assert [len(line) for line in lines] == [37, 39]
