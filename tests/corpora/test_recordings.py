"""The corpora are what the recipe takes them for."""

from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from data.kaldi import kaldi_fbank, tolerance
from data.sounds import RATE_HZ

from halfbyte.audio_file import AudioFile
from halfbyte.data.audio import read_audio
from halfbyte.data.fbank import FeatureConfig, log_mel
from halfbyte.data.manifest import Utterance, read_manifest
from halfbyte.train.config import load_config

pytestmark = pytest.mark.corpora

RECIPE = Path(__file__).parents[2] / "recipes" / "en-voice" / "config.yaml"
SPLITS = ("train", "dev", "test")
STRIDE = 400  # every so many recordings are decoded


def splits(folder: Path) -> dict[str, list[Utterance]]:
    """Manifests of one corpus by split."""
    paths = {split: folder / f"{split}.jsonl" for split in SPLITS}
    return {split: read_manifest(path) for split, path in paths.items() if path.exists()}


def corpora(speech: Path) -> list[Path]:
    return sorted(path.parent for path in speech.glob("*/train.jsonl"))


def test_compressed_recordings_are_decoded_as_a_whole(speech):
    soundfile = pytest.importorskip("soundfile", reason="the extra `audio` is not installed")
    paths = sorted((speech / "wuw2" / "audio").glob("WUWII00009_00*.opus"))
    paths += sorted((speech / "librispeech_clean5" / "audio").glob("*.opus"))[:25]
    assert len(paths) > 25
    for path in paths:
        whole, _ = soundfile.read(path, dtype="float32")
        assert np.array_equal(np.concatenate(list(AudioFile(path))), whole), path.name


def test_the_manifests_of_the_recipe_are_there(speech):
    data = load_config(RECIPE).data
    for manifest in data.train + data.dev + data.noise:
        assert read_manifest(speech / manifest)


def test_splits_share_no_speaker(speech):
    for folder in corpora(speech):
        speakers = [{u.speaker for u in us} - {""} for us in splits(folder).values()]
        for some, others in combinations(speakers, 2):
            assert not some & others, folder.name


def test_texts_hold_lower_case_letters_and_apostrophes(speech):
    for folder in corpora(speech):
        for utterances in splits(folder).values():
            letters = set("".join(u.text for u in utterances))
            assert letters <= set("abcdefghijklmnopqrstuvwxyz' "), folder.name


def test_recordings_are_as_long_as_their_manifests_say(speech):
    for folder in corpora(speech):
        for utterances in splits(folder).values():
            for utterance in utterances[::STRIDE]:
                samples = read_audio(utterance.audio_path, RATE_HZ)
                assert abs(len(samples) / RATE_HZ - utterance.duration_s) < 0.05, utterance.id
                assert np.abs(samples).max() > 0, utterance.id


def test_features_of_recordings_are_kaldis(speech):
    for folder in corpora(speech):
        for utterance in splits(folder)["train"][::STRIDE]:
            samples = read_audio(utterance.audio_path, RATE_HZ)
            features = log_mel(samples, FeatureConfig()).numpy()
            expected = kaldi_fbank(samples)
            np.testing.assert_array_less(np.abs(features - expected), tolerance(expected))
