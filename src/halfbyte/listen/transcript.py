"""Final results in the forms that people use: text, JSON, SubRip, WebVTT."""

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict

from halfbyte.listen.events import Event


def as_text(finals: Sequence[Event]) -> str:
    """One line of text; segments without words leave nothing."""
    return " ".join(final.text for final in finals if final.text)


def as_json(finals: Sequence[Event], audio: str, duration_s: float) -> str:
    """One JSON object: audio, duration_s, text, and segments with words, times, confidences.

    A segment without words is left out.
    """
    segments = [
        {
            "text": final.text,
            "start_s": final.start_s,
            "end_s": final.end_s,
            "words": [asdict(word) for word in final.words],
        }
        for final in finals
        if final.text
    ]
    return json.dumps(
        {
            "audio": audio,
            "duration_s": round(duration_s, 3),
            "text": as_text(finals),
            "segments": segments,
        },
        ensure_ascii=False,
    )


def as_srt(finals: Sequence[Event]) -> str:
    """SubRip: one numbered cue per segment with words."""
    return _cues(finals, ",", lambda number: f"{number}\n")


def as_vtt(finals: Sequence[Event]) -> str:
    """WebVTT: one cue per segment with words."""
    return "WEBVTT\n\n" + _cues(finals, ".", lambda _: "")


def _cues(finals: Sequence[Event], decimal: str, head: Callable[[int], str]) -> str:
    cues: list[str] = []
    for final in finals:
        if final.text:
            start_s = final.words[0].start_s if final.words else final.start_s
            end_s = final.words[-1].end_s if final.words else final.end_s
            times = f"{_clock(start_s, decimal)} --> {_clock(end_s, decimal)}"
            cues.append(f"{head(len(cues) + 1)}{times}\n{final.text}\n")
    return "\n".join(cues)


def _clock(seconds: float, decimal: str) -> str:
    """01:02:03,450 for SubRip, 01:02:03.450 for WebVTT."""
    minutes, milliseconds = divmod(round(seconds * 1000), 60_000)
    hours, minutes = divmod(minutes, 60)
    whole, milliseconds = divmod(milliseconds, 1000)
    return f"{hours:02d}:{minutes:02d}:{whole:02d}{decimal}{milliseconds:03d}"
