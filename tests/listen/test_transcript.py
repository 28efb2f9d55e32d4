"""Results become text and JSON."""

import json

from halfbyte.listen.events import Text, Word
from halfbyte.listen.transcript import as_json, as_text

FINALS = [
    Text("go", True, 0.0, 1.5, [Word("go", 0.25, 0.5, 0.9)]),
    Text("", True, 1.5, 3.0),
    Text("stop now", True, 3661.0, 3662.5, [Word("stop", 3661.5, 3661.9, 0.8)]),
]


def test_text_and_json():
    assert as_text(FINALS) == "go stop now"
    parsed = json.loads(as_json(FINALS, "a.wav", 4.0))
    assert parsed["text"] == "go stop now"
    assert parsed["duration_s"] == 4.0
    assert parsed["segments"][0]["words"] == [
        {"text": "go", "start_s": 0.25, "end_s": 0.5, "confidence": 0.9}
    ]
