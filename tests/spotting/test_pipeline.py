"""Detections of scripted logits, beside a detector written as a loop; the same in any chunks."""

import copy
import json
from typing import Any

import numpy as np
import pytest

from halfbyte import Detection, Endpoint, ModelFileError, Recognizer, StreamOptions, UsageError
from halfbyte.errors import HalfbyteError
from halfbyte.listen.settings import read_settings

SHIFT, NUM_FRAMES, SMOOTHING, REACH = 160, 400, 3, 5
THRESHOLDS = [0.5, 0.9]
METADATA: dict[str, Any] = {
    "name": "scripted",
    "family": "keyword",
    "features": {
        "sample_rate_hz": 16000,
        "num_mel_bins": 20,
        "frame_length_ms": 25,
        "frame_shift_ms": 10,
        "low_hz": 20.0,
        "high_hz": 0.0,
    },
    "streaming": {
        "subsampling": 2,
        "overlap_frames": 0,
        "chunk_steps": 4,
        "chunk_choices_steps": [1, 4, 50],
        "left_context_steps": 0,
        "max_segment_ms": 1000,
    },
    "labels": ["yes", "no"],
    "thresholds": THRESHOLDS,
    "smoothing_steps": SMOOTHING,
    "refractory_steps": REACH,
}


def script(seed: int = 0) -> np.ndarray:
    """Logits (steps, 2), in quarters so that some are equal."""
    walk = np.random.default_rng(seed).normal(0, 1.5, (NUM_FRAMES // 2, 2))
    return (np.round(4 * walk) / 4).astype(np.float32)


class Scripted:
    """Gives the next rows of a script, whatever the features."""

    def __init__(self, logits: np.ndarray):
        self.settings, self._logits = read_settings(METADATA), logits

    def initial_state(self, graph: str) -> dict[str, int]:
        return {"step": 0}

    def run(self, graph: str, inputs: dict[str, Any], outputs: list[str], state: Any) -> list[Any]:
        num_steps = memoryview(inputs["features"]).shape[1] // 2
        start, state["step"] = state["step"], state["step"] + num_steps
        return [np.ascontiguousarray(self._logits[None, start : start + num_steps])]

    def save_state(self, state: Any) -> bytes:
        return json.dumps(state).encode()

    def restore_state(self, graph: str, saved: bytes) -> Any:
        return json.loads(saved)


def expected(logits: np.ndarray, least: list[float]) -> set[tuple[str, int]]:
    """Keyword and step of each detection, by the definition."""
    means = [
        logits[max(0, t - SMOOTHING + 1) : t + 1].astype(np.float64).mean(0)
        for t in range(len(logits))
    ]
    found = set()
    for keyword, name in enumerate(METADATA["labels"]):
        own = [float(mean[keyword]) for mean in means]
        for t, value in enumerate(own):
            before, after = own[max(0, t - REACH) : t], own[t + 1 : t + 1 + REACH]
            is_largest = all(value > v for v in before) and all(value >= v for v in after)
            if is_largest and 1 / (1 + np.exp(-value)) >= least[keyword]:
                found.add((name, t))
    return found


def heard(logits, block: int, chunk_ms: int | None = None, min_score: float | None = None, hops=()):
    model = Scripted(logits)
    stream = Recognizer(model).stream(StreamOptions(chunk_ms, min_score=min_score))
    samples = np.random.default_rng(1).normal(0, 0.1, NUM_FRAMES * SHIFT + 240).astype(np.float32)
    events = []
    for start in range(0, len(samples), block):
        events += stream.accept(samples[start : start + block])
        if start // block in hops:
            saved = stream.save()
            stream = Recognizer(model).stream(StreamOptions(chunk_ms, min_score=min_score))
            stream.restore(saved)
    return events + stream.finish()


@pytest.mark.parametrize("seed", range(5))
def test_detections_are_those_of_the_definition(seed):
    logits = script(seed)
    for min_score, least in ((None, THRESHOLDS), (0.0, [0.0, 0.0]), (0.8, [0.8, 0.8])):
        events = heard(logits, 8000, min_score=min_score)
        assert events[-1] == Endpoint("finish", 4.0)
        found = {(e.label, round(e.time_s * 50) - 1) for e in events if isinstance(e, Detection)}
        assert found == expected(logits, least)


def test_a_lower_score_only_adds_detections():
    every = heard(script(), 8000, min_score=0.0)
    some = [e for e in heard(script(), 8000, min_score=0.7) if isinstance(e, Detection)]
    assert some == [e for e in every if isinstance(e, Detection) and e.score >= 0.7]


@pytest.mark.parametrize("block", [160, 997, 64000])
@pytest.mark.parametrize("chunk_ms", [20, 80, 1000])
def test_pieces_of_any_size_change_nothing(block, chunk_ms):
    assert set(heard(script(), block, chunk_ms)) == set(heard(script(), 8000))


def test_a_saved_stream_goes_on_exactly():
    assert heard(script(), 997, hops=(3, 4, 20, 50)) == heard(script(), 997)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"labels": []}, "lists no keywords as 'labels'"),
        ({"thresholds": [0.5]}, "has 1 thresholds of 2 keywords"),
        ({"thresholds": [0.5, 2]}, "has thresholds 2; expected 0 to 1"),
        ({"refractory_steps": 0}, "has refractory_steps 0; expected 1 to 1000"),
        ({"smoothing_steps": "x"}, "mistypes 'smoothing_steps'"),
    ],
)
def test_metadata_that_make_no_spotter(change, said):
    with pytest.raises(ModelFileError, match=said):
        read_settings({**copy.deepcopy(METADATA), **change})


@pytest.mark.parametrize("score", [-0.1, 1.1, float("nan"), "high", True])
def test_a_score_outside_its_range(score):
    with pytest.raises(UsageError, match="min_score is"):
        Recognizer(Scripted(script())).stream(StreamOptions(min_score=score))


def test_a_graph_of_other_keywords_is_refused():
    with pytest.raises(HalfbyteError, match="graph 'spotter' gives logits"):
        heard(np.zeros((200, 3), np.float32), 8000)
