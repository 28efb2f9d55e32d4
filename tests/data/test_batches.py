"""Batches: each utterance once, bounded, a new order each epoch, shared out between processes."""

import itertools

import numpy as np
import pytest
import torch
from data.sounds import RATE_HZ, noise, write_utterances
from hypothesis import given
from hypothesis import strategies as st

from halfbyte.data.audio_store import AudioStore
from halfbyte.data.augment import AugmentConfig
from halfbyte.data.batches import draw_batches
from halfbyte.data.dataset import Corpus, EpochBatches, batch_loader
from halfbyte.data.fbank import FeatureConfig
from halfbyte.data.speech import Speech
from halfbyte.data.tokenizer import TokenConfig, train_tokenizer

DURATIONS_S = np.random.default_rng(3).uniform(0.4, 15, 200).tolist()


@given(
    st.lists(st.floats(0.1, 30.0), max_size=60),
    st.floats(1.0, 100.0),
    st.integers(0, 5),
)
def test_each_utterance_once_and_padded_length_bounded(durations_s, batch_s, epoch):
    batches = draw_batches(durations_s, batch_s, seed=1, epoch=epoch)
    assert sorted(i for batch in batches for i in batch) == list(range(len(durations_s)))
    assert all(batches)
    for batch in batches:
        padded_s = len(batch) * max(durations_s[i] for i in batch)
        assert len(batch) == 1 or padded_s <= batch_s


def test_what_is_left_out_is_in_no_batch():
    durations_s = [1.0, float("inf"), 2.0]
    batches = draw_batches(durations_s, 10.0, seed=1, epoch=0)
    assert sorted(i for batch in batches for i in batch) == [0, 2]
    assert draw_batches([float("inf")], 10.0, seed=1, epoch=0) == []


def test_batches_are_well_filled():
    batches = draw_batches(DURATIONS_S, 80.0, seed=1, epoch=1)
    padded_s = sum(len(b) * max(DURATIONS_S[i] for i in b) for b in batches)
    assert padded_s < 1.15 * sum(DURATIONS_S)


def test_short_first_goes_from_short_to_long():
    batches = draw_batches(DURATIONS_S, 40.0, seed=1, epoch=0, short_first=True)
    longest_s = [max(DURATIONS_S[i] for i in b) for b in batches]
    for earlier, later in itertools.pairwise(longest_s):
        assert later > earlier / 1.1  # as far as the random stretch allows


def test_epochs_are_shuffled_and_differ():
    first, second = (draw_batches(DURATIONS_S, 40.0, seed=1, epoch=e) for e in (0, 1))
    assert first != second
    assert {frozenset(b) for b in first} != {frozenset(b) for b in second}
    longest_s = [max(DURATIONS_S[i] for i in b) for b in first]
    assert longest_s != sorted(longest_s)


def test_seed_and_epoch_say_it_all():
    assert draw_batches(DURATIONS_S, 40.0, 1, 2) == draw_batches(DURATIONS_S, 40.0, 1, 2)
    assert draw_batches(DURATIONS_S, 40.0, 1, 2) != draw_batches(DURATIONS_S, 40.0, 2, 2)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory) -> Corpus:
    folder = tmp_path_factory.mktemp("corpus")
    sounds = [noise(0.2 + 0.1 * i, seed=i) for i in range(7)]
    utterances = write_utterances(folder, sounds)
    store = AudioStore(utterances, folder / "cache", RATE_HZ)
    tokenizer = train_tokenizer([u.text for u in utterances], TokenConfig("characters"))
    return Corpus(
        utterances,
        store,
        Speech(),
        tokenizer,
        FeatureConfig(),
        AugmentConfig(),
        [noise(0.3)],
        seed=4,
    )


def plain(corpus: Corpus) -> Corpus:
    return Corpus(corpus.utterances, corpus._audio, Speech(), corpus._vocabulary, FeatureConfig())


def test_a_batch_is_padded_and_labelled(corpus):
    batch = plain(corpus).batch([6, 0], epoch=0)
    assert batch.num_frames.tolist() == [78, 41]  # of 0.8 s; a clip too short gets silence
    assert batch.features.shape == (2, batch.num_frames[0], 80)
    assert batch.texts == ["word 6", "word 0"]
    assert batch.num_tokens.tolist() == [6, 6] or batch.num_tokens.tolist() == [7, 7]
    assert batch.tokens.shape == (2, batch.num_tokens.max())


def test_an_utterance_is_the_same_in_any_batch(corpus):
    alone, together = corpus.batch([2], epoch=3), corpus.batch([6, 2, 4], epoch=3)
    frames = int(alone.num_frames[0])
    assert together.num_frames[1] == frames
    torch.testing.assert_close(alone.features[0, :frames], together.features[1, :frames])


def test_epochs_differ_and_repeat(corpus):
    first, again, second = (corpus.batch([5], epoch=e) for e in (1, 1, 2))
    assert torch.equal(first.features, again.features)
    assert first.features.shape != second.features.shape or not torch.equal(
        first.features, second.features
    )


def heard(corpus: Corpus, num_batches: int, **options: object) -> list[str]:
    batches = EpochBatches(plain(corpus), [[i % 7] for i in range(num_batches)], 0, **options)
    return [batch.texts[0] for batch in batch_loader(batches)]


@pytest.mark.parametrize("world_size", [1, 2, 3])
def test_processes_share_an_epoch_evenly(corpus, world_size):
    shares = [heard(corpus, 7, rank=r, world_size=world_size) for r in range(world_size)]
    assert {len(share) for share in shares} == {7 // world_size}
    together = [text for share in shares for text in share]
    assert len(set(together)) == len(together)


@pytest.mark.parametrize("world_size", [1, 2, 3])
def test_where_every_batch_counts_none_is_left_out(corpus, world_size):
    shares = [
        heard(corpus, 7, rank=r, world_size=world_size, equal_steps=False)
        for r in range(world_size)
    ]
    assert sorted(text for share in shares for text in share) == [f"word {i}" for i in range(7)]


@pytest.mark.parametrize("equal_steps", [True, False])
def test_no_process_stays_without_a_batch(corpus, equal_steps):
    for rank in range(3):
        assert heard(corpus, 2, rank=rank, world_size=3, equal_steps=equal_steps)


def test_workers_make_the_batches_that_the_run_itself_would(corpus):
    batches = EpochBatches(corpus, [[0, 3], [5], [1, 2]], epoch=2)
    for alone, ahead in zip(batch_loader(batches), batch_loader(batches, workers=2), strict=True):
        assert ahead.texts == alone.texts
        assert torch.equal(ahead.features, alone.features)
