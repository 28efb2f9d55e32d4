"""The resampler: tones through it, silence beyond the stop-band, the same bits for any split."""

from __future__ import annotations

from array import array

import numpy as np
import pytest
import soxr

from halfbyte import _core
from halfbyte.errors import AudioError, InputError, UsageError

Resampler = _core.audio.Resampler
RATES_HZ = [8000, 11025, 16001, 22050, 32000, 44100, 44101, 48000, 96000, 192000]
EDGE_SAMPLES = 400  # at 16 kHz; there the filter sees the silence around the tone


def resample(samples: np.ndarray, rate_hz: int) -> np.ndarray:
    resampler = Resampler(rate_hz)
    parts = [resampler.accept(samples.astype(np.float32)), resampler.finish()]
    return np.concatenate([np.asarray(part) for part in parts])


def tone(frequency_hz: float, rate_hz: int, num_samples: int) -> np.ndarray:
    return np.sin(2 * np.pi * frequency_hz * np.arange(num_samples) / rate_hz)


def level_db(samples: np.ndarray) -> float:
    return 20 * np.log10(np.abs(samples).max() + 1e-9)


@pytest.mark.parametrize("rate_hz", RATES_HZ)
def test_tones_in_the_pass_band_arrive_undelayed(rate_hz: int) -> None:
    low_hz = min(rate_hz, 16000)
    for frequency_hz in (50.0, 1000.0, 0.35 * low_hz, 0.45 * low_hz):
        out = resample(tone(frequency_hz, rate_hz, rate_hz // 4), rate_hz)
        error = (out - tone(frequency_hz, 16000, len(out)))[EDGE_SAMPLES:-EDGE_SAMPLES]
        assert level_db(error) < -85, frequency_hz


@pytest.mark.parametrize("rate_hz", [rate for rate in RATES_HZ if rate > 20000])
def test_tones_that_would_fold_are_80_db_down(rate_hz: int) -> None:
    for frequency_hz in np.linspace(8000, min(rate_hz / 2 - 100, 24000), 9):
        out = resample(tone(frequency_hz, rate_hz, rate_hz // 4), rate_hz)
        assert level_db(out[EDGE_SAMPLES:-EDGE_SAMPLES]) < -80, frequency_hz


@pytest.mark.parametrize("rate_hz", [8000, 11025])
def test_images_of_tones_are_80_db_down(rate_hz: int) -> None:
    out = resample(tone(0.4 * rate_hz, rate_hz, 2 * rate_hz), rate_hz)
    middle = out[8000:-8000]
    spectrum = np.abs(np.fft.rfft(middle * np.blackman(len(middle)) ** 2))
    bins_hz = np.fft.rfftfreq(len(middle), 1 / 16000)
    images = spectrum[bins_hz > 0.5 * rate_hz]
    assert level_db(images) - level_db(spectrum) < -80


@pytest.mark.parametrize("rate_hz", [8000, 44100, 48000])
def test_agrees_with_soxr_on_speech_band_noise(rate_hz: int) -> None:
    noise = np.random.default_rng(3).normal(0, 0.1, rate_hz)
    spectrum = np.fft.rfft(noise)
    spectrum[np.fft.rfftfreq(rate_hz, 1 / rate_hz) > 3500] = 0
    noise = np.fft.irfft(spectrum)
    difference = resample(noise, rate_hz) - soxr.resample(noise, rate_hz, 16000, "VHQ")
    assert level_db(difference[EDGE_SAMPLES:-EDGE_SAMPLES]) < -80


@pytest.mark.parametrize("rate_hz", [8000, 16000, 44100, 44101, 192000])
@pytest.mark.parametrize("step", [1, 160, 997])
def test_split_of_samples_changes_no_bit(rate_hz: int, step: int) -> None:
    samples = np.random.default_rng(4).normal(0, 0.1, 9001).astype(np.float32)
    resampler = Resampler(rate_hz)
    parts = [resampler.accept(samples[i : i + step]) for i in range(0, len(samples), step)]
    parts.append(resampler.finish())
    out = np.concatenate([np.asarray(part) for part in parts])
    np.testing.assert_array_equal(out, resample(samples, rate_hz))
    assert len(out) == -(-9001 * 16000 // rate_hz)


@pytest.mark.parametrize("rate_hz", RATES_HZ)
@pytest.mark.parametrize("num_samples", [0, 1, 5])
def test_very_short_input(rate_hz: int, num_samples: int) -> None:
    assert len(resample(np.ones(num_samples), rate_hz)) == -(-num_samples * 16000 // rate_hz)


def test_equal_rates_pass_through() -> None:
    samples = np.random.default_rng(5).normal(0, 0.1, 100).astype(np.float32)
    np.testing.assert_array_equal(resample(samples, 16000), samples)


@pytest.mark.parametrize("rate_hz", [16000, 44100])
def test_copy_and_saved_state_continue_alike(rate_hz: int) -> None:
    samples = np.random.default_rng(6).normal(0, 0.1, 5000).astype(np.float32)
    resampler = Resampler(rate_hz)
    start = np.asarray(resampler.accept(samples[:2003]))
    resumed = Resampler(rate_hz)
    resumed.restore(resampler.save())
    for stream in (resampler.copy(), resumed, resampler):
        parts = [start, stream.accept(samples[2003:]), stream.finish()]
        out = np.concatenate([np.asarray(part) for part in parts])
        np.testing.assert_array_equal(out, resample(samples, rate_hz))


def test_damaged_state_is_refused() -> None:
    state = Resampler(44100).save()
    flips = [state[:i] + bytes([state[i] ^ 0x40]) + state[i + 1 :] for i in range(4, 52)]
    for bad in (b"", state[:-4], Resampler(48000).save(), *flips):
        resampler = Resampler(44100)
        try:
            resampler.restore(bad)
        except InputError:
            continue
        resampler.reset()  # a flip that leaves a possible state
        assert len(resampler.accept(array("f", [0.0] * 1000))) > 0


@pytest.mark.parametrize("rate_hz", [0, -1, 7999, 192001])
def test_rates_out_of_range(rate_hz: int) -> None:
    with pytest.raises(AudioError, match=f"{rate_hz} Hz"):
        Resampler(rate_hz)


def test_samples_that_are_no_numbers() -> None:
    with pytest.raises(AudioError, match="sample 1 is NaN"):
        Resampler(48000).accept(array("f", [0.0, float("nan")]))


def test_samples_after_finish_need_reset() -> None:
    resampler = Resampler(48000)
    resampler.finish()
    with pytest.raises(UsageError, match=r"finish\(\) has been called"):
        resampler.accept(array("f", [0.0]))
    resampler.reset()
    resampler.accept(array("f", [0.0]))
    assert len(resampler.finish()) == 1
