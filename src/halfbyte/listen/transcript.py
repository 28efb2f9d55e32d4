"""Final results in the forms that people use: text, JSON, SubRip, WebVTT."""

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict
from typing import Any

from halfbyte.listen.events import Detection, Event, SpeakerActivity, Text, finals, kind_of

_OTHERS = (Detection, SpeakerActivity)


def as_text(finals: Sequence[Text]) -> str:
    """One line of text; segments without words leave nothing."""
    return " ".join(final.text for final in finals if final.text)


def as_json(events: Iterable[Event], audio: str, duration_s: float, num_best: int = 1) -> str:
    """One JSON object: audio, duration_s, text, and segments with words, times, confidences.

    A segment without words is left out. With `num_best` above 1 segments have their `hypotheses`;
    what is no text, such as detections, has a list of its own, if there is any.
    """
    events = list(events)
    settled = finals(events)
    others = [{"type": kind_of(e), **asdict(e)} for e in events if isinstance(e, _OTHERS)]
    return json.dumps(
        {
            "audio": audio,
            "duration_s": round(duration_s, 3),
            "text": as_text(settled),
            "segments": [_segment(final, num_best) for final in settled if final.text],
            **({"events": others} if others else {}),
        },
        ensure_ascii=False,
    )


def _segment(final: Text, num_best: int) -> dict[str, Any]:
    segment = asdict(final)
    del segment["is_final"]
    if num_best == 1:
        del segment["hypotheses"]
    return segment


def as_srt(finals: Sequence[Text]) -> str:
    """SubRip: one numbered cue per segment with words."""
    return _cues(finals, ",", lambda number: f"{number}\n")


def as_vtt(finals: Sequence[Text]) -> str:
    """WebVTT: one cue per segment with words."""
    return "WEBVTT\n\n" + _cues(finals, ".", lambda _: "")


def _cues(finals: Sequence[Text], decimal: str, head: Callable[[int], str]) -> str:
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
