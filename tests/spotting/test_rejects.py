"""Near alarms become recordings that training reads; what reaches its threshold goes on."""

import argparse
import json
from array import array

import numpy as np
import pytest
import soundfile
from paths import TONES

from halfbyte import Detection, Endpoint, Recognizer, UsageError
from halfbyte.cli.listen import add_arguments, make_stream
from halfbyte.data.manifest import read_manifest
from halfbyte.listen.rejects import KEPT_S, KeepsRejects, least_score

RATE_HZ = 16000
THRESHOLDS = {"yes": 0.8, "no": 0.4}


class Says:
    """A stream that gives some events with its third block."""

    def __init__(self, events):
        self._events, self._num_blocks = events, 0

    def accept(self, samples):
        self._num_blocks += 1
        return self._events if self._num_blocks == 3 else []

    def finish(self):
        return [Endpoint("finish", 3.0)]


def test_near_alarms_are_kept_and_others_pass(tmp_path):
    found, near = Detection("yes", 2.5, 0.8), Detection("yes", 2.6, 0.79)
    far, other = Detection("yes", 2.7, 0.39), Detection("no", 2.8, 0.2)
    keeper = KeepsRejects(Says([found, near, far, other]), THRESHOLDS, tmp_path / "near", RATE_HZ)
    sound = np.random.default_rng(0).uniform(-1, 1, 3 * RATE_HZ).astype(np.float32)
    blocks = [array("f", one) for one in np.split(sound, 3)]
    assert [keeper.accept(block) for block in blocks] == [[], [], [found]]
    assert keeper.finish() == [Endpoint("finish", 3.0)]
    kept = read_manifest(tmp_path / "near/rejects.jsonl", None, "intervals")
    assert [utterance.intervals for utterance in kept] == [(), ()]
    for utterance in kept:
        samples, rate_hz = soundfile.read(utterance.audio_path, dtype="float32")
        assert rate_hz == RATE_HZ
        assert np.abs(samples - sound[-int(KEPT_S * RATE_HZ) :]).max() <= 1 / 32768
    lines = (tmp_path / "near/rejects.jsonl").read_text().splitlines()
    assert [(x["label"], x["score"]) for x in map(json.loads, lines)] == [
        ("yes", 0.79),
        ("no", 0.2),
    ]


def test_nothing_is_stored_without_a_near_alarm(tmp_path):
    keeper = KeepsRejects(Says([Detection("no", 1.0, 0.1)]), THRESHOLDS, tmp_path / "near", RATE_HZ)
    assert [keeper.accept(array("f", bytes(64))) for _ in range(4)] == [[]] * 4
    assert not (tmp_path / "near").exists()
    assert least_score(THRESHOLDS) == 0.2


def options_of(*words):
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    return parser.parse_args([str(word) for word in words])


def test_listen_keeps_near_alarms_of_a_spotter(work, tmp_path):
    spotter = Recognizer(work / "tones.hb")
    options = options_of("--min-score", 0.9999999, "--save-rejects", tmp_path / "near")
    samples = array("f", soundfile.read(next(work.glob("*.wav")), dtype="float32")[0])
    stream = make_stream(spotter, options, RATE_HZ)
    events = stream.accept(samples) + stream.finish()
    assert not any(isinstance(event, Detection) for event in events)
    assert read_manifest(tmp_path / "near/rejects.jsonl", None, "intervals")


def test_mistakes(work, tmp_path):
    with pytest.raises(UsageError, match="detects nothing; --save-rejects is for a model of key"):
        make_stream(Recognizer(TONES), options_of("--save-rejects", tmp_path), RATE_HZ)
    file = tmp_path / "file"
    file.touch()
    with pytest.raises(UsageError, match="file is a file; expected a folder"):
        make_stream(Recognizer(work / "tones.hb"), options_of("--save-rejects", file), RATE_HZ)
