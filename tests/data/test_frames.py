"""Labels of frames: they follow their sounds through augmentation, and mistakes are named."""

import dataclasses
import json

import numpy as np
import pytest
import torch
from data.sounds import RATE_HZ, tone, write_utterances

from halfbyte.data.audio_store import AudioStore
from halfbyte.data.augment import AugmentConfig
from halfbyte.data.dataset import Corpus
from halfbyte.data.fbank import FeatureConfig
from halfbyte.data.frames import NOTHING, PADDING, Frames, Labels
from halfbyte.data.manifest import Interval, read_manifest
from halfbyte.data.needs import Example, Heard
from halfbyte.data.tokenizer import TokenConfig
from halfbyte.errors import ConfigError, ManifestError

QUIET = AugmentConfig(
    noise_chance=0.0, room_chance=0.0, frequency_masks=0, time_masks=0, gain_db=(0.0, 0.0)
)
LABELS = Labels([NOTHING, "high", "low"])


def corpus(folder, options: AugmentConfig | None) -> Corpus:
    """Half a second of silence, half of a tone, half of silence; another tone in the second."""
    gap = np.zeros(RATE_HZ // 2, np.float32)
    utterances = write_utterances(
        folder, [np.concatenate([gap, tone(hz, 0.5), gap]) for hz in (300.0, 3000.0)]
    )
    utterances = [
        dataclasses.replace(u, intervals=(Interval(0.5, 1.0, label),))
        for u, label in zip(utterances, ["low", "high"], strict=True)
    ]
    audio = AudioStore(utterances, folder / "cache", RATE_HZ)
    return Corpus(utterances, audio, Frames(), LABELS, FeatureConfig(), options)


def test_labels_are_those_of_the_middle_of_frames(tmp_path):
    batch = corpus(tmp_path, None).batch([0, 1], 0)
    low, high = batch.labels
    # Frame t has its middle at 10 t + 12.5 ms: the first in the tone is 49, the last 98.
    assert low.tolist() == [0] * 49 + [2] * 50 + [0] * (len(low) - 99)
    assert (high == 1).sum() == 50


@pytest.mark.parametrize("speed", [0.9, 1.1])
def test_labels_follow_speed_background_and_joined_utterances(tmp_path, speed):
    options = dataclasses.replace(
        QUIET,
        speeds=(speed,),
        background_chance=1.0,
        background_before_s=(0.7, 0.7),
        background_after_s=(0.3, 0.3),
        background_db=(-75.0, -75.0),
        joined_chance=1.0,
    )
    batch = corpus(tmp_path, options).batch([0, 1], 0)
    assert any({1, 2} <= set(row.tolist()) for row in batch.labels)  # both in one
    for features, labels, count in zip(batch.features, batch.labels, batch.num_frames, strict=True):
        energy = features[:count].amax(-1)
        is_tone = energy > (energy.min() + energy.max()) / 2
        differing = (labels[:count] > 0) != is_tone
        assert differing.sum() <= 2 * 4  # two edges of each tone, where frames hold half of it


def test_the_shorter_example_is_padded(tmp_path):
    found = corpus(tmp_path, None)
    pairs = zip([90, 60], found.utterances, strict=True)
    examples = [Example(torch.zeros(count, 80), [Heard(each)]) for count, each in pairs]
    batch = Frames().batch(examples, LABELS, FeatureConfig())
    assert batch.labels.shape == (2, 90)
    assert (batch.labels[1, 60:] == PADDING).all()
    assert len(batch) == 2
    assert batch.to(torch.device("meta")).labels.is_meta


def test_labels_are_fitted_stored_and_read_again(tmp_path):
    utterances = corpus(tmp_path, None).utterances
    labels = Frames().fit(utterances, TokenConfig())
    assert labels == LABELS == Frames().read(labels.content)
    with pytest.raises(ConfigError, match="no interval has a label"):
        Frames().fit([dataclasses.replace(u, intervals=()) for u in utterances], TokenConfig())
    for content, said in ((b"{", "damaged"), (b"{}", "a dict; expected a list")):
        with pytest.raises(ConfigError, match=said):
            Frames().read(content)
    other = dataclasses.replace(utterances[0], intervals=(Interval(0.0, 1.0, "horn"),))
    with pytest.raises(ConfigError, match="0: label 'horn' is not one of the model's; expected"):
        Frames().batch([Example(torch.zeros(9, 80), [Heard(other)])], LABELS, FeatureConfig())


TIMES = [("x", 1), (float("nan"), 1), (0, float("nan")), (0, float("inf")), (2, 1), (-1, 1)]


@pytest.mark.parametrize(
    "value",
    [
        *(3, "low", [3], [{"start": 0.1, "end": 0.2}]),
        *([{"start": start, "end": end, "label": "a"}] for start, end in TIMES),
    ],
)
def test_intervals_of_another_form_are_a_mistake(tmp_path, value):
    write_utterances(tmp_path, [tone(300.0, 0.1)])
    line = {"audio_filepath": "0.wav", "duration": 0.1, "intervals": value}
    (tmp_path / "m.jsonl").write_text(json.dumps(line))
    with pytest.raises(ManifestError, match=r"line 1: intervals is .*; expected \[\{start, end"):
        read_manifest(tmp_path / "m.jsonl", label_key="intervals")
