"""The filterbank of training against Kaldi's and against the engine's.

Tolerance: both compute in float32, so that the Fourier transform of a frame is right to a
rounding of its largest amplitude. A log energy may differ by 2e-4, and by 2^-23 times the ratio of
the largest amplitude of the frame to that of the filter.
"""

from pathlib import Path

import kaldi_native_fbank as knf
import numpy as np
import pytest
import soundfile
import torch
from data.sounds import RATE_HZ, noise, tone

from halfbyte import _core
from halfbyte.data.fbank import LOWEST_ENERGY, Fbank, FeatureConfig


def tolerance(expected: np.ndarray) -> np.ndarray:
    """How far each log energy (T, F) may be off."""
    largest = expected.max(axis=1, keepdims=True)
    return 2e-4 + 2.0**-23 * np.exp((largest - expected) / 2)


def kaldi_fbank(samples: np.ndarray, num_bins: int = 80) -> np.ndarray:
    options = knf.FbankOptions()
    options.frame_opts.dither = 0
    options.frame_opts.snip_edges = True
    options.frame_opts.samp_freq = RATE_HZ
    options.mel_opts.num_bins = num_bins
    fbank = knf.OnlineFbank(options)
    fbank.accept_waveform(RATE_HZ, (samples * 32768).tolist())
    fbank.input_finished()
    return np.stack([fbank.get_frame(i) for i in range(fbank.num_frames_ready)])


SOUNDS = {
    "noise": noise(0.5),
    "speech-like": (tone(150, 0.5) + tone(700, 0.5) + noise(0.5) / 20) / 3,
    "quiet": noise(0.5) * 1e-3,
    "odd length": noise(0.5)[:6543],
    "one frame": noise(0.025),
}


@pytest.mark.parametrize("name", SOUNDS)
def test_features_are_kaldis(name):
    samples = SOUNDS[name]
    features = Fbank(FeatureConfig())(torch.from_numpy(samples)[None])[0].numpy()
    expected = kaldi_fbank(samples)
    assert features.shape == expected.shape
    np.testing.assert_array_less(np.abs(features - expected), tolerance(expected))


def engine_fbank(samples: np.ndarray, piece_samples: int) -> np.ndarray:
    fbank = _core.audio.Fbank()
    for start in range(0, len(samples), piece_samples):
        fbank.accept(samples[start : start + piece_samples])
    fbank.finish()
    return np.array(fbank.peek(fbank.num_frames_ready))


@pytest.mark.parametrize("piece_samples", [1, 160, 997, 10**6])
@pytest.mark.parametrize("path", sorted(Path(__file__).parent.glob("*.wav")), ids=lambda p: p.stem)
def test_features_are_the_engines_for_any_chunking(path, piece_samples):
    samples, _ = soundfile.read(path, dtype="float32")
    features = Fbank(FeatureConfig())(torch.from_numpy(samples)[None])[0].numpy()
    expected = engine_fbank(samples, piece_samples)
    assert features.shape == expected.shape
    np.testing.assert_array_less(np.abs(features - expected), tolerance(expected))


def test_another_number_of_bins():
    features = Fbank(FeatureConfig(num_mel_bins=40))(torch.from_numpy(SOUNDS["noise"])[None])
    expected = kaldi_fbank(SOUNDS["noise"], 40)
    np.testing.assert_array_less(np.abs(features[0].numpy() - expected), tolerance(expected))


def test_rows_of_a_batch_do_not_touch():
    rows = torch.stack([torch.from_numpy(noise(0.4, seed)) for seed in range(3)])
    fbank = Fbank(FeatureConfig())
    together = fbank(rows)
    for row, features in zip(rows, together, strict=True):
        np.testing.assert_allclose(features, fbank(row[None])[0], atol=1e-4)
        expected = kaldi_fbank(row.numpy())
        np.testing.assert_array_less(np.abs(features.numpy() - expected), tolerance(expected))


def test_silence_is_the_floor():
    features = Fbank(FeatureConfig())(torch.zeros(1, 1600))
    assert torch.equal(features, torch.full((1, 8, 80), LOWEST_ENERGY).log())


@pytest.mark.parametrize("num_samples", [0, 399, 400, 559, 560, 16000])
def test_num_frames_counts_whole_frames(num_samples):
    expected = 1 + (num_samples - 400) // 160 if num_samples >= 400 else 0
    assert FeatureConfig().num_frames(num_samples) == expected
    if num_samples >= 400:
        assert Fbank(FeatureConfig())(torch.zeros(1, num_samples)).shape[1] == expected
