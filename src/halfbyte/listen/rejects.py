"""Near alarms kept as recordings: what a spotter almost heard is what its next training needs."""

import io
import json
import sys
import time
import wave
from array import array
from collections.abc import Mapping
from pathlib import Path

from halfbyte.files import write_whole
from halfbyte.listen.events import Detection, Event
from halfbyte.listen.stream import Stream

MANIFEST = "rejects.jsonl"
NEAR = 0.5  # a score is near its threshold from this share of it on
KEPT_S = 2.0  # of sound up to where a detection is settled


class KeepsRejects:
    """A stream of detections that lets through those that reach their threshold and keeps the
    sound of those that come near.

    Each is a WAV file of the two seconds before it was settled, and a line of the manifest
    `rejects.jsonl` with the label, its score and empty `intervals`: an example against all
    labels, once somebody has heard it.

    Args:
        stream: of a model that detects; its least score is that of `least_score`.
        thresholds: of each label.
        folder: where files go.
        sample_rate_hz: of the samples.
    """

    def __init__(
        self, stream: Stream, thresholds: Mapping[str, float], folder: Path, sample_rate_hz: int
    ):
        self._stream, self._thresholds = stream, thresholds
        self._folder, self._rate_hz = folder, sample_rate_hz
        self._newest: array[float] = array("f")
        self._began = time.strftime("%Y%m%d-%H%M%S")
        self._num_kept = 0

    def accept(self, samples: "array[float]") -> list[Event]:
        """Take in samples and return what they change, as a stream does."""
        self._newest.extend(samples)
        del self._newest[: max(0, len(self._newest) - int(KEPT_S * self._rate_hz))]
        return self._sorted(self._stream.accept(samples))

    def finish(self) -> list[Event]:
        """No more samples follow."""
        return self._sorted(self._stream.finish())

    def _sorted(self, events: list[Event]) -> list[Event]:
        passed: list[Event] = []
        for event in events:
            threshold = self._thresholds[event.label] if isinstance(event, Detection) else 0.0
            if not isinstance(event, Detection) or event.score >= threshold:
                passed.append(event)
            elif event.score >= NEAR * threshold:
                self._keep(event)
        return passed

    def _keep(self, event: Detection) -> None:
        self._num_kept += 1
        name = f"reject-{self._began}-{self._num_kept:04}"
        line = {
            "id": name,
            "audio_filepath": f"{name}.wav",
            "duration": round(len(self._newest) / self._rate_hz, 3),
            "intervals": [],
            "label": event.label,
            "score": event.score,
        }
        write_whole(self._folder / f"{name}.wav", _wav(self._newest, self._rate_hz))
        with (self._folder / MANIFEST).open("a", encoding="utf-8") as file:
            file.write(json.dumps(line, ensure_ascii=False) + "\n")


def least_score(thresholds: Mapping[str, float]) -> float:
    """The least score that a stream has to give so that near alarms are seen."""
    return NEAR * min(thresholds.values())


def _wav(samples: "array[float]", rate_hz: int) -> bytes:
    """(S,) float32 in [-1, 1) as a WAV file of 16 bits."""
    codes = array("h", [max(-32768, min(32767, round(32768 * x))) for x in samples])
    if sys.byteorder == "big":
        codes.byteswap()
    content = io.BytesIO()
    with wave.open(content, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate_hz)
        file.writeframes(codes.tobytes())
    return content.getvalue()
