"""Augmentation: a function of seed, epoch and utterance, that changes what it should."""

import numpy as np
import pytest
import torch
from data.sounds import RATE_HZ, loudest_hz, noise, tone

from halfbyte.data.augment import (
    AugmentConfig,
    change_scene,
    change_voice,
    generator_for,
    mask_features,
)
from halfbyte.errors import ConfigError

SPEECH = (tone(500, 1.0) + noise(1.0, seed=1) / 10) / 3


def config(**changes: object) -> AugmentConfig:
    """No augmentation but what is named."""
    nothing = {
        "speeds": (1.0,),
        "noise_chance": 0.0,
        "room_chance": 0.0,
        "gain_db": (0.0, 0.0),
    }
    return AugmentConfig(**(nothing | changes))


def augmented(options: AugmentConfig, seed: int = 0, epoch: int = 0, utterance: int = 0):
    random = generator_for(seed, epoch, utterance)
    voice = change_voice(SPEECH, RATE_HZ, options, random)
    return change_scene(voice, [noise(0.3)], options, random)


def test_the_same_draw_gives_the_same_samples():
    full = AugmentConfig()
    for draw in [(1, 0, 0), (1, 3, 5), (2, 3, 5)]:
        np.testing.assert_array_equal(augmented(full, *draw), augmented(full, *draw))


def test_seed_epoch_and_utterance_each_change_the_draw():
    draws = [(1, 1, 1), (2, 1, 1), (1, 2, 1), (1, 1, 2)]
    numbers = [tuple(generator_for(*draw).random(4)) for draw in draws]
    assert len(set(numbers)) == len(draws)


def test_nothing_asked_for_changes_nothing():
    np.testing.assert_array_equal(augmented(config()), SPEECH)


@pytest.mark.parametrize("speed", [0.9, 1.1])
def test_speed_changes_length_and_pitch(speed):
    faster = augmented(config(speeds=(speed,)))
    assert abs(len(faster) - RATE_HZ / speed) <= 2
    assert abs(loudest_hz(faster) - 500 * speed) < 2


@pytest.mark.parametrize("snr_db", [0.0, 5.0, 20.0])
def test_noise_has_the_drawn_ratio(snr_db):
    noisy = augmented(config(noise_chance=1.0, noise_snr_db=(snr_db, snr_db)))
    assert np.abs(noisy).max() < 1  # else the whole would be turned down
    added = noisy - SPEECH
    achieved_db = 10 * np.log10(np.square(SPEECH).mean() / np.square(added).mean())
    assert abs(achieved_db - snr_db) < 0.1


def test_drawn_ratios_fill_their_range():
    ratios_db = []
    for i in range(60):
        noisy = augmented(config(noise_chance=1.0, noise_snr_db=(10.0, 20.0)), utterance=i)
        added = noisy - SPEECH
        ratios_db.append(10 * np.log10(np.square(SPEECH).mean() / np.square(added).mean()))
    assert 9.9 < min(ratios_db) < 12
    assert 18 < max(ratios_db) < 20.1


def test_silence_and_silent_noise_do_no_harm():
    options = config(noise_chance=1.0)
    silence = np.zeros(1600, np.float32)
    random = generator_for(0, 0, 0)
    assert not change_scene(silence, [noise(0.1)], options, random).any()
    np.testing.assert_array_equal(
        change_scene(SPEECH, [np.zeros(800, np.float32)], options, random), SPEECH
    )


def test_a_room_keeps_length_and_adds_a_tail():
    click = np.zeros(8000, np.float32)
    click[1000] = 0.5
    wet = change_voice(click, RATE_HZ, config(room_chance=1.0), generator_for(0, 0, 0))
    assert len(wet) == len(click)
    assert np.abs(wet[:1000]).max() < 1e-6
    assert abs(wet[1000] - 0.5) < 1e-6
    early, late = (np.square(wet[a : a + 500]).sum() for a in (1001, 2400))
    assert early > late


@pytest.mark.parametrize("gain_db", [-12.0, -3.0])
def test_gain_is_as_drawn(gain_db):
    np.testing.assert_allclose(
        augmented(config(gain_db=(gain_db, gain_db))), SPEECH * 10 ** (gain_db / 20), rtol=1e-5
    )


def test_full_scale_is_never_passed():
    loud = augmented(config(gain_db=(40.0, 40.0)))
    assert np.abs(loud).max() <= 1.0 + 1e-6


def masked(num_frames: int, bins: int, options: AugmentConfig, draw: int) -> torch.Tensor:
    """1 where a fresh feature was changed."""
    features = torch.arange(num_frames * bins, dtype=torch.float32).reshape(num_frames, bins)
    original = features.clone()
    mask_features(features, options, generator_for(0, 0, draw))
    return features != original


def longest_run(flags: list[bool]) -> int:
    runs = "".join("x" if flag else " " for flag in flags).split()
    return max((len(run) for run in runs), default=0)


@pytest.mark.parametrize("draw", range(20))
def test_frequency_masks_are_bounded(draw):
    options = AugmentConfig(frequency_masks=1, frequency_mask_bins=12, time_masks=0)
    changed = masked(50, 80, options, draw).float().mean(dim=0)
    assert longest_run((changed > 0.9).tolist()) <= 12


@pytest.mark.parametrize("draw", range(20))
@pytest.mark.parametrize("num_frames", [20, 200])
def test_time_masks_are_bounded_by_length_and_share(draw, num_frames):
    options = AugmentConfig(
        frequency_masks=0, time_masks=1, time_mask_frames=30, time_mask_share=0.25
    )
    changed = masked(num_frames, 80, options, draw).float().mean(dim=1)
    assert longest_run((changed > 0.9).tolist()) <= min(30, num_frames // 4)


def test_masks_take_the_mean_of_the_utterance():
    features = torch.randn(40, 80)
    mean = features.mean()
    options = AugmentConfig(frequency_masks=1, frequency_mask_bins=80, time_masks=0)
    original = features.clone()
    mask_features(features, options, generator_for(0, 0, 3))
    changed = features != original
    assert changed.any()
    assert (features[changed] == mean).all()


def test_masks_wider_than_the_features_do_no_harm():
    options = AugmentConfig(frequency_masks=4, frequency_mask_bins=27, time_masks=4)
    for draw in range(10):
        masked(1, 10, options, draw)


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"background_chance": 25}, "augment.background_chance is 25; expected a share"),
        ({"joined_chance": float("nan")}, "augment.joined_chance is nan"),
        ({"background_before_s": (-2.0, 1.0)}, r"background_before_s is \[-2.0, 1.0\].*0 or more"),
        ({"background_after_s": (2.0, 1.0)}, r"background_after_s is \[2.0, 1.0\]"),
        ({"background_db": (-40.0, -75.0)}, r"background_db is \[-40.0, -75.0\]"),
        ({"noise_snr_db": (float("-inf"), 5.0)}, r"noise_snr_db is \[-inf, 5.0\]"),
    ],
    ids=str,
)
def test_values_out_of_range_are_named(wrong, named):
    with pytest.raises(ConfigError, match=named):
        AugmentConfig(**wrong)
