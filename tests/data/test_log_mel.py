"""The filterbank of training against Kaldi's, and against the engine's to the last bit."""

from pathlib import Path

import numpy as np
import pytest
import soundfile
from data.kaldi import kaldi_fbank, tolerance
from data.sounds import noise, tone

from halfbyte import _core
from halfbyte.data.fbank import FeatureConfig, log_mel, long_enough

SOUNDS = {
    "noise": noise(0.5),
    "speech-like": (tone(150, 0.5) + tone(700, 0.5) + noise(0.5) / 20) / 3,
    "quiet": noise(0.5) * 1e-3,
    "odd length": noise(0.5)[:6543],
    "one frame": noise(0.025),
}


@pytest.mark.parametrize("num_bins", [40, 80])
@pytest.mark.parametrize("name", SOUNDS)
def test_features_are_kaldis(name, num_bins):
    features = log_mel(SOUNDS[name], FeatureConfig(num_mel_bins=num_bins)).numpy()
    expected = kaldi_fbank(SOUNDS[name], num_bins)
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
    features = log_mel(samples, FeatureConfig()).numpy()
    np.testing.assert_array_equal(features, engine_fbank(samples, piece_samples))


def test_features_follow_the_settings():
    options = {"sample_rate_hz": 8000, "num_mel_bins": 40, "frame_length_ms": 20}
    options |= {"frame_shift_ms": 5, "low_hz": 50, "high_hz": 3800}
    fbank = _core.audio.Fbank(*options.values())
    fbank.accept(SOUNDS["noise"])
    fbank.finish()
    features = log_mel(SOUNDS["noise"], FeatureConfig(**options)).numpy()
    np.testing.assert_array_equal(features, fbank.peek(fbank.num_frames_ready))


@pytest.mark.parametrize("num_samples", [0, 1, 6799, 6800, 6801])
def test_short_clips_get_silence(num_samples):
    samples = noise(1.0)[:num_samples]
    longer = long_enough(samples, FeatureConfig())
    assert len(longer) == max(num_samples, 400 + 40 * 160)
    np.testing.assert_array_equal(longer[:num_samples], samples)
    assert not longer[num_samples:].any()
