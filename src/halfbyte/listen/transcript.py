"""Final results as text and JSON."""

import json
from collections.abc import Iterable, Sequence
from typing import Any

from halfbyte.listen.events import Detection, Event, SpeakerActivity, Text, finals, record_of

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
    others = [record_of(event) for event in events if isinstance(event, _OTHERS)]
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
    segment = record_of(final)
    del segment["type"], segment["is_final"]
    if num_best == 1:
        del segment["hypotheses"]
    return segment
