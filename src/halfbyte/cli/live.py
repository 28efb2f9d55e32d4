"""Words as they come: a partial result rewritten in place, a final one on a line of its own."""

import math
import shutil
import sys
from array import array

from halfbyte.listen.events import Detection, Endpoint, Event, SpeakerActivity, Text

METER_CELLS = 8
METER_FLOOR_DB = -48.0  # quiet rooms lie below, speech above


class Live:
    """Shows the events of a stream on standard output.

    On a terminal partials rewrite one line, headed by the level if it is a microphone's.
    Elsewhere the partials of a file are lines that begin with an ellipsis, and those of a
    microphone are left out: who keeps such a text wants what was settled.
    """

    def __init__(self, is_microphone: bool = False) -> None:
        self._is_terminal = sys.stdout.isatty()
        self._has_lines = not self._is_terminal and not is_microphone
        self._meter = "▯" * METER_CELLS + " " if is_microphone and self._is_terminal else ""
        self._partial = ""

    def __call__(self, event: Event) -> None:
        if isinstance(event, Endpoint):
            return
        line = _line_of(event)
        if isinstance(event, Text):
            self._partial = "" if event.is_final else f"… {event.text}"
        self.clear()
        if line:
            print(line)
        elif self._partial and self._has_lines:
            print(self._partial)
        self._draw()

    def level(self, level_db: float) -> None:
        """Show the level of the newest sound, in dB below full scale."""
        if self._meter:
            share = (level_db - METER_FLOOR_DB) / -METER_FLOOR_DB
            num_lit = max(0, min(METER_CELLS, math.ceil(share * METER_CELLS)))
            meter = "▮" * num_lit + "▯" * (METER_CELLS - num_lit) + " "
            if meter != self._meter:
                self._meter = meter
                self.clear()
                self._draw()

    def clear(self) -> None:
        """Empty the line that is rewritten."""
        if self._is_terminal:
            print("\r\x1b[K", end="", flush=True)

    def _draw(self) -> None:
        if self._is_terminal:
            # One line, or \r would not reach its beginning: the newest words of a long text.
            room = max(1, shutil.get_terminal_size().columns - 1 - len(self._meter))
            text = self._partial
            if len(text) > room:
                text = f"… {text[max(2, len(text) - room + 2) :]}"
            print(self._meter + text, end="")
        sys.stdout.flush()


def _line_of(event: Detection | SpeakerActivity | Text) -> str:
    """The line that an event leaves; empty for what may change, and for a segment without words."""
    if isinstance(event, Detection):
        return f"[{event.time_s:.2f}] {event.label} ({event.score:.2f})"
    if isinstance(event, SpeakerActivity):
        return f"[{event.time_s:.2f}] {event.speaker} {'speaks' if event.is_active else 'stops'}"
    is_settled = event.is_final and event.text
    return f"[{event.start_s:.2f} – {event.end_s:.2f}] {event.text}" if is_settled else ""


def level_db(samples: "array[float]") -> float:
    """Root mean square of a block in dB relative to full scale: 20 log10 sqrt(mean x²)."""
    mean_square = sum(sample * sample for sample in samples) / max(1, len(samples))
    return 10 * math.log10(max(mean_square, 1e-12))
