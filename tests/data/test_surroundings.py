"""Background around utterances and utterances joined: as drawn, and known to batches."""

import dataclasses

import numpy as np
import pytest
from data.sounds import RATE_HZ, noise, write_utterances

from halfbyte.data.audio_store import AudioStore
from halfbyte.data.augment import AugmentConfig
from halfbyte.data.dataset import Corpus
from halfbyte.data.fbank import FeatureConfig
from halfbyte.data.speech import Speech
from halfbyte.data.surroundings import NOBODY, background, draw_surroundings
from halfbyte.data.tokenizer import TokenConfig, train_tokenizer

DURATIONS_S = np.random.default_rng(3).uniform(0.4, 10, 500)
PLAIN = AugmentConfig(
    speeds=(1.0,), room_chance=0.0, gain_db=(0.0, 0.0), frequency_masks=0, time_masks=0
)


def test_nothing_asked_for_leaves_utterances_alone():
    drawn = draw_surroundings(DURATIONS_S, AugmentConfig(), 1, 0)
    np.testing.assert_array_equal(drawn.durations_s(DURATIONS_S), DURATIONS_S)
    assert (drawn.following == NOBODY).all()


def test_draws_are_a_function_of_seed_and_epoch():
    options = AugmentConfig(background_chance=0.5, joined_chance=0.3)
    lengths = [
        tuple(draw_surroundings(DURATIONS_S, options, *draw).durations_s(DURATIONS_S))
        for draw in [(1, 0), (1, 0), (2, 0), (1, 1)]
    ]
    assert lengths[0] == lengths[1]
    assert len(set(lengths)) == 3


def test_shares_and_ranges_are_as_asked():
    options = AugmentConfig(
        background_chance=0.4, background_before_s=(1.0, 5.0), joined_chance=0.5
    )
    drawn = draw_surroundings(DURATIONS_S, options, 1, 0)
    before_s = drawn.before_s[drawn.before_s > 0]
    assert 0.33 < len(before_s) / len(DURATIONS_S) < 0.47
    assert 1.0 <= before_s.min() < 1.5
    assert 4.5 < before_s.max() <= 5.0
    joined = drawn.following != NOBODY
    short = options.joined_longest_s >= DURATIONS_S
    assert 0.4 < joined[short].mean() < 0.6
    assert not joined[~short].any()
    assert short[drawn.following[joined]].all()


@pytest.mark.parametrize("level_db", [-75.0, -40.0])
@pytest.mark.parametrize("num_samples", [1, 100, 48000])
def test_background_has_its_level(num_samples, level_db):
    sound = background(num_samples, RATE_HZ, level_db, np.random.default_rng(1))
    assert sound.shape == (num_samples,)
    if num_samples > 1000:
        assert abs(20 * np.log10(np.sqrt(np.square(sound).mean())) - level_db) < 0.1


def make_corpus(folder, options: AugmentConfig) -> Corpus:
    utterances = write_utterances(folder, [noise(1.0, seed=1), noise(2.0, seed=2)])
    utterances = [
        dataclasses.replace(u, text=text) for u, text in zip(utterances, ["yes", "no"], strict=True)
    ]
    tokenizer = train_tokenizer(["yes", "no"], TokenConfig(kind="characters"))
    audio = AudioStore(utterances, folder / "cache", RATE_HZ)
    return Corpus(utterances, audio, Speech(), tokenizer, FeatureConfig(), options)


def test_a_batch_holds_what_stands_around_its_utterances(tmp_path):
    options = dataclasses.replace(
        PLAIN, background_chance=1.0, background_before_s=(2.0, 2.0), background_after_s=(0.5, 0.5)
    )
    corpus = make_corpus(tmp_path, options)
    np.testing.assert_allclose(corpus.durations_s(0), [3.5, 4.5])
    batch = corpus.batch([0, 1], 0)
    assert batch.num_frames.tolist() == [348, 448]
    energy = batch.features[0].mean(1)
    assert energy[:195].max() < energy[205:290].min() - 3
    assert energy[305:340].max() < energy[205:290].min() - 3


def test_what_is_left_out_is_joined_to_nothing(tmp_path):
    corpus = make_corpus(tmp_path, dataclasses.replace(PLAIN, joined_chance=1.0))
    corpus.leave_out([1])
    for epoch in range(4):
        assert corpus.batch([0], epoch).texts == ["yes yes"]
        assert corpus.durations_s(epoch)[1] == np.inf


def test_joined_utterances_have_both_texts(tmp_path):
    corpus = make_corpus(tmp_path, dataclasses.replace(PLAIN, joined_chance=1.0))
    for epoch in range(4):
        batch = corpus.batch([0, 1], epoch)
        followers = [text.split()[1] for text in batch.texts]
        assert [text.split()[0] for text in batch.texts] == ["yes", "no"]
        lengths_s = [
            own + {"yes": 1, "no": 2}[word] for own, word in zip((1, 2), followers, strict=True)
        ]
        gaps_s = np.array(corpus.durations_s(epoch)) - lengths_s
        assert ((gaps_s >= 0) & (gaps_s <= 1.5)).all()
        heard_s = batch.num_frames.numpy() / 100
        assert (np.abs(heard_s - corpus.durations_s(epoch)) < 0.05).all()
