"""Audio files of every kind as one channel at one rate, and a store that decodes them once."""

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
from data.sounds import RATE_HZ, loudest_hz, noise, tone, write_utterances

from halfbyte.data import audio_store
from halfbyte.data.audio import read_audio
from halfbyte.data.audio_store import AudioStore
from halfbyte.data.manifest import Utterance
from halfbyte.errors import AudioError

FORMATS = {
    "wav": ("WAV", "PCM_16", 1e-4),
    "float.wav": ("WAV", "FLOAT", 1e-7),
    "flac": ("FLAC", "PCM_16", 1e-4),
    "ogg": ("OGG", "VORBIS", 0.05),
    "opus": ("OGG", "OPUS", 0.05),
    "mp3": ("MP3", "MPEG_LAYER_III", 0.05),
}


@pytest.mark.parametrize("ending", FORMATS)
def test_a_tone_comes_back_from_every_format(tmp_path, ending):
    kind, subtype, tolerance = FORMATS[ending]
    path, samples = tmp_path / f"tone.{ending}", tone(440, 1.0)
    soundfile.write(path, samples, RATE_HZ, format=kind, subtype=subtype)
    read = read_audio(path, RATE_HZ)
    assert read.dtype == np.float32
    assert read.ndim == 1
    # mp3 puts a whole number of its frames around the sound
    assert abs(len(read) - len(samples)) <= (2400 if ending == "mp3" else 0)
    assert abs(loudest_hz(read) - 440) < 2
    middle = slice(4000, 12000)
    assert abs(np.abs(read[middle]).max() - 0.3) < tolerance


@pytest.mark.parametrize("rate_hz", [8000, 11025, 22050, 44100, 48000])
def test_resampling_keeps_frequency_level_and_length(tmp_path, rate_hz):
    path = tmp_path / "tone.wav"
    soundfile.write(path, tone(1000, 1.0, rate_hz), rate_hz)
    read = read_audio(path, RATE_HZ)
    assert abs(len(read) - RATE_HZ) <= 1
    assert abs(loudest_hz(read) - 1000) < 2
    assert abs(np.abs(read[2000:-2000]).max() - 0.3) < 0.01


def test_channels_are_averaged(tmp_path):
    path = tmp_path / "stereo.wav"
    soundfile.write(path, np.stack([tone(500, 0.5), -tone(500, 0.5)], axis=1), RATE_HZ)
    assert np.abs(read_audio(path, RATE_HZ)).max() < 1e-4


def bad_file(folder: Path, kind: str) -> Path:
    path = folder / f"{kind}.wav"
    if kind == "directory":
        path.mkdir()
    elif kind == "empty":
        path.touch()
    elif kind == "text":
        path.write_text("this is no audio\n" * 100)
    elif kind == "no samples":
        soundfile.write(path, np.zeros(0, np.float32), RATE_HZ)
    elif kind == "not finite":
        soundfile.write(path, np.float32([0, np.nan, 1]), RATE_HZ, subtype="FLOAT")
    return path


@pytest.mark.parametrize(
    "kind", ["missing", "directory", "empty", "text", "no samples", "not finite"]
)
def test_what_is_no_audio_is_one_clear_line(tmp_path, kind):
    path = bad_file(tmp_path, kind)
    with pytest.raises(AudioError) as caught:
        read_audio(path, RATE_HZ)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_store_gives_each_utterance(tmp_path):
    sounds = [tone(300, 0.2), noise(0.5), tone(900, 0.1)]
    store = AudioStore(write_utterances(tmp_path, sounds), tmp_path / "cache", RATE_HZ)
    assert len(store) == 3
    for i, samples in enumerate(sounds):
        np.testing.assert_allclose(store[i], samples, atol=1 / 32768)


def test_each_channel_is_an_utterance_of_its_own(tmp_path):
    left, right = tone(500, 0.5), tone(2000, 0.5)
    soundfile.write(tmp_path / "two.wav", np.stack([left, right], 1), RATE_HZ)
    both = Utterance("two", tmp_path / "two.wav", "", 0.5, "")
    utterances = [replace(both, channel=2), replace(both, channel=1)]
    store = AudioStore(utterances, tmp_path / "cache", RATE_HZ)
    assert [round(loudest_hz(store[i])) for i in range(2)] == [2000, 500]
    mean = AudioStore([both], tmp_path / "cache", RATE_HZ)[0]
    np.testing.assert_allclose(mean, (left + right) / 2, atol=1e-4)
    with pytest.raises(AudioError, match="channel 3 is not there; it has 2"):
        AudioStore([replace(both, channel=3)], tmp_path / "cache", RATE_HZ)


def test_the_store_is_built_once(tmp_path, monkeypatch):
    utterances = write_utterances(tmp_path, [tone(300, 0.2), noise(0.5)])
    first = AudioStore(utterances, tmp_path / "cache", RATE_HZ)[1]
    monkeypatch.setattr(audio_store, "read_utterance", lambda *_: pytest.fail("decoded twice"))
    np.testing.assert_array_equal(AudioStore(utterances, tmp_path / "cache", RATE_HZ)[1], first)


def test_a_changed_file_is_decoded_again(tmp_path):
    utterances = write_utterances(tmp_path, [tone(300, 0.2)])
    AudioStore(utterances, tmp_path / "cache", RATE_HZ)
    before = utterances[0].audio_path.stat()
    write_utterances(tmp_path, [tone(900, 0.2)])  # as long as before
    os.utime(utterances[0].audio_path, ns=(before.st_atime_ns, before.st_mtime_ns + 1))
    store = AudioStore(utterances, tmp_path / "cache", RATE_HZ)
    assert abs(loudest_hz(store[0]) - 900) < 10


def test_same_names_in_another_folder_are_another_store(tmp_path, monkeypatch):
    for name, hz in (("a", 300), ("b", 900)):
        (tmp_path / name).mkdir()
        monkeypatch.chdir(tmp_path / name)
        utterances = write_utterances(Path(), [tone(hz, 0.2)])
        os.utime(utterances[0].audio_path, ns=(0, 0))
        store = AudioStore(utterances, tmp_path / "cache", RATE_HZ)
        assert abs(loudest_hz(store[0]) - hz) < 10


def test_a_store_that_cannot_be_built_leaves_nothing(tmp_path):
    utterances = write_utterances(tmp_path, [tone(300, 0.2), noise(0.5)])
    utterances[1].audio_path.write_text("this is no audio")
    for _ in range(2):
        with pytest.raises(AudioError, match=r"1\.wav"):
            AudioStore(utterances, tmp_path / "cache", RATE_HZ)
        assert list((tmp_path / "cache").iterdir()) == []


def test_a_store_that_lost_its_samples_is_built_again(tmp_path):
    utterances = write_utterances(tmp_path, [tone(300, 0.2)])
    AudioStore(utterances, tmp_path / "cache", RATE_HZ)
    for path in (tmp_path / "cache").glob("*.pcm"):
        path.unlink()
    assert len(AudioStore(utterances, tmp_path / "cache", RATE_HZ)[0]) == 3200


@pytest.mark.parametrize("claimed_s", [0.2, 1.0])
def test_a_recording_of_another_length_than_its_manifest_says(tmp_path, claimed_s):
    """Ten minutes that are called one second would need all memory."""
    (right,) = write_utterances(tmp_path, [noise(0.5)])
    wrong = replace(right, duration_s=claimed_s)
    for _ in range(2):  # also where the store is there
        with pytest.raises(AudioError, match=rf"0\.wav is 0\.50 s long, .* {claimed_s:.2f} s"):
            AudioStore([wrong], tmp_path / "cache", RATE_HZ)
        AudioStore([right], tmp_path / "cache", RATE_HZ)


def test_a_store_of_nothing_is_empty(tmp_path):
    assert len(AudioStore([], tmp_path / "cache", RATE_HZ)) == 0


def test_a_missing_recording_is_named_before_anything_is_decoded(tmp_path):
    utterances = write_utterances(tmp_path, [tone(300, 0.2)])
    utterances[0].audio_path.unlink()
    with pytest.raises(AudioError, match=r"0\.wav: No such file"):
        AudioStore(utterances, tmp_path / "cache", RATE_HZ)
