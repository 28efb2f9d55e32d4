"""Subtitles: words into cues that can be read, as SubRip and WebVTT.

The web page does the same in serve/page/subtitles.js; tests/serve/test_browser.py compares them.
"""

from collections.abc import Iterator, Sequence
from itertools import pairwise

from halfbyte.listen.events import Text, Word

LINE_CHARACTERS = 42  # of a line, two lines a cue: what subtitle guides of broadcasters agree on
LONGEST_S = 7.0  # of a cue that can be broken
SHORTEST_S = 0.8  # shown, unless the next cue comes before


def as_srt(finals: Sequence[Text]) -> str:
    """SubRip: numbered cues."""
    return "\n".join(f"{i}\n{cue}" for i, cue in enumerate(_cues(finals, ","), 1))


def as_vtt(finals: Sequence[Text]) -> str:
    """WebVTT: cues without numbers."""
    return "\n".join(["WEBVTT\n", *_cues(finals, ".")])


def _cues(finals: Sequence[Text], decimal: str) -> Iterator[str]:
    cues = [cue for final in finals if final.text for cue in _broken(_words_of(final))]
    starts_s = [*(cue[0].start_s for cue in cues), float("inf")]
    for cue, (start_s, next_s) in zip(cues, pairwise(starts_s), strict=True):
        end_s = min(max(cue[-1].end_s, start_s + SHORTEST_S), max(start_s, next_s))
        times = f"{_clock(start_s, decimal)} --> {_clock(end_s, decimal)}"
        yield "\n".join([times, *_lines(cue), ""])


def _words_of(final: Text) -> list[Word]:
    """With times; the whole text where its words have none."""
    return final.words or [Word(final.text, final.start_s, final.end_s, 0.0)]


def _broken(words: list[Word]) -> list[list[Word]]:
    """Words in cues that are short enough: halved at the longest pause about the middle."""
    is_short = words[-1].end_s - words[0].start_s <= LONGEST_S
    if len(words) == 1 or (is_short and max(map(len, _lines(words))) <= LINE_CHARACTERS):
        return [words]
    quarter = len(words) // 4
    places = range(max(1, quarter), max(2, len(words) - quarter))
    place = max(places, key=lambda i: words[i].start_s - words[i - 1].end_s)
    return _broken(words[:place]) + _broken(words[place:])


def _lines(words: list[Word]) -> list[str]:
    """One line, or two that are as equal as can be."""
    texts = [word.text for word in words]
    text = " ".join(texts)
    if len(text) <= LINE_CHARACTERS or len(texts) == 1:
        return [text]
    halves = [[" ".join(texts[:i]), " ".join(texts[i:])] for i in range(1, len(texts))]
    return min(halves, key=lambda half: max(map(len, half)))


def _clock(seconds: float, decimal: str) -> str:
    """01:02:03,450 for SubRip, 01:02:03.450 for WebVTT."""
    minutes, milliseconds = divmod(round(seconds * 1000), 60_000)
    hours, minutes = divmod(minutes, 60)
    whole, milliseconds = divmod(milliseconds, 1000)
    return f"{hours:02d}:{minutes:02d}:{whole:02d}{decimal}{milliseconds:03d}"
