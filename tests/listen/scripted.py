"""A model whose log-probabilities are chosen."""

from array import array
from typing import Any

import numpy as np
from listen.metadata import changed

from halfbyte.listen.settings import ModelSettings, read_settings

TOKENS = ["<blank>", "▁", "▁go", "up", "<sos/eos>"]
START, GO, UP = 1, 2, 3
STEP_S = 0.04
ROOM_FRAMES = 10  # before the first sample, and after the last
SHORT_CHUNKS = {"streaming.chunk_steps": 1, "streaming.chunk_choices_steps": [1, 2]}


def settings_with(tokens: list[str]) -> ModelSettings:
    """Of a model of steps of 40 ms."""
    return read_settings(changed({"tokens": tokens, "blank_id": 0, "eos_id": 4, **SHORT_CHUNKS}))


SETTINGS = settings_with(TOKENS)


def samples_of(num_steps: int) -> array:
    """Sound that gives so many steps, those of the room around it included."""
    num_frames = max(1, 4 * num_steps + 3 - 2 * ROOM_FRAMES)
    return array("f", [0.1, -0.1] * ((num_frames * 160 + 240) // 2))


def time_of(step: float) -> float:
    """Where a step of a stream starts, in seconds from its first sample."""
    return round(step * STEP_S - ROOM_FRAMES * 0.01, 3)


class ScriptedModel:
    """Says the next token of a script at each step, whatever the features."""

    def __init__(self, script: list[int], attention: tuple[int, ...] = ()):
        self.settings = SETTINGS
        self._script = script
        self._attention = attention
        self._num_said = 0

    def initial_state(self, graph: str) -> None:
        return None

    def run(self, graph: str, inputs: dict[str, Any], outputs: list[str], state: Any) -> list[Any]:
        if graph == "decoder":
            return [self._next_tokens(inputs["tokens"])]
        return list(self.encode(inputs["features"]))

    def encode(self, features: Any) -> tuple[Any, Any]:
        num_steps = (memoryview(features).shape[1] - 3) // 4
        steps = range(self._num_said, self._num_said + num_steps)
        said = [self._script[step] if step < len(self._script) else 0 for step in steps]
        self._num_said += num_steps
        log_probs = np.full((1, num_steps, len(TOKENS)), -20.0, np.float32)
        log_probs[0, np.arange(num_steps), said] = -0.01
        return np.zeros((1, num_steps, 2), np.float32), log_probs

    def _next_tokens(self, tokens: Any) -> Any:
        wanted = [*self._attention, TOKENS.index("<sos/eos>")]
        num_rows, length = memoryview(tokens).shape
        log_probs = np.full((num_rows, length, len(TOKENS)), -20.0, np.float32)
        for place in range(length):
            log_probs[:, place, wanted[min(place, len(wanted) - 1)]] = -0.01
        return log_probs
