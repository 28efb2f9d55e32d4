"""The filterbank: its definition, Kaldi's values, and independence from how samples arrive."""

from __future__ import annotations

from array import array

import kaldi_native_fbank
import numpy as np
import pytest

from halfbyte import _core
from halfbyte.errors import AudioError, InputError, UsageError

Fbank = _core.audio.Fbank


def whole(samples: array) -> np.ndarray:
    fbank = Fbank()
    fbank.accept(samples)
    fbank.finish()
    return np.asarray(fbank.peek(fbank.num_frames_ready))


def by_definition(samples: np.ndarray) -> np.ndarray:
    """docs/features.md, line by line, in double."""
    num_frames = 1 + (len(samples) - 400) // 160
    index = 160 * np.arange(num_frames)[:, None] + np.arange(400)
    x = 32768.0 * samples.astype(np.float64)[index]
    x -= x.mean(axis=1, keepdims=True)
    y = x - 0.97 * np.concatenate([x[:, :1], x[:, :-1]], axis=1)
    y *= (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(400) / 399)) ** 0.85
    power = np.abs(np.fft.rfft(y, 512))[:, :256] ** 2

    def mel(hz: np.ndarray | float) -> np.ndarray:
        return 1127 * np.log(1 + np.asarray(hz) / 700)

    edges = np.linspace(mel(20.0), mel(8000.0), 82)[:, None]
    at = mel(31.25 * np.arange(256))
    rise = (at - edges[:-2]) / (edges[1:-1] - edges[:-2])
    fall = (edges[2:] - at) / (edges[2:] - edges[1:-1])
    filters = np.maximum(0, np.minimum(rise, fall))
    return np.log(np.maximum(power @ filters.T, 2.0**-23))


def by_whispers_definition(samples: np.ndarray) -> np.ndarray:
    """docs/features.md, part Whisper's, in double."""
    num_frames = 1 + (len(samples) - 400) // 160
    index = 160 * np.arange(num_frames)[:, None] + np.arange(400)
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(400) / 400)
    power = np.abs(np.fft.rfft(samples.astype(np.float64)[index] * window, 512))[:, :256] ** 2
    top = 15 + 27 * np.log(8) / np.log(6.4)
    mel = np.linspace(0, top, 82)[:, None]
    edges = np.where(mel < 15, mel * 200 / 3, 1000 * 6.4 ** ((mel - 15) / 27))
    hz = 31.25 * np.arange(256)
    rise = (hz - edges[:-2]) / (edges[1:-1] - edges[:-2])
    fall = (edges[2:] - hz) / (edges[2:] - edges[1:-1])
    filters = np.maximum(0, np.minimum(rise, fall)) * 2 / (edges[2:] - edges[:-2]) * 400 / 512
    return np.log(np.maximum(power @ filters.T, 1e-8))


def by_kaldi(samples: array) -> np.ndarray:
    options = kaldi_native_fbank.FbankOptions()
    options.frame_opts.dither = 0
    options.frame_opts.samp_freq = 16000
    options.frame_opts.snip_edges = True
    options.mel_opts.num_bins = 80
    fbank = kaldi_native_fbank.OnlineFbank(options)
    fbank.accept_waveform(16000, [32768 * x for x in samples])
    fbank.input_finished()
    return np.stack([fbank.get_frame(i) for i in range(fbank.num_frames_ready)])


def test_equals_its_definition(clip: array) -> None:
    np.testing.assert_allclose(whole(clip), by_definition(np.array(clip)), rtol=0, atol=1e-5)


def test_whispers_equal_their_definition(clip: array) -> None:
    fbank = Fbank(low_hz=0.0, definition="whisper")
    fbank.accept(clip)
    fbank.finish()
    frames = np.asarray(fbank.peek(fbank.num_frames_ready))
    expected = by_whispers_definition(np.array(clip))
    np.testing.assert_allclose(frames, expected, rtol=0, atol=1e-5)


def test_another_definition_is_refused() -> None:
    with pytest.raises(UsageError, match="definition is 'mfcc'; expected kaldi or whisper"):
        Fbank(definition="mfcc")


def test_agrees_with_kaldi(clip: array) -> None:
    # Kaldi's float32 FFT rounds by about 1e-7 of the loudest bin: docs/features.md.
    difference = np.abs(whole(clip) - by_kaldi(clip))
    assert difference.max() < 2e-3
    assert difference.mean() < 2e-5


@pytest.mark.parametrize("step", [1, 7, 160, 163, 400, 1009])
def test_split_of_samples_changes_no_bit(clip: array, step: int) -> None:
    expected = whole(clip)
    fbank, rows = Fbank(), []
    for start in range(0, len(clip), step):
        fbank.accept(clip[start : start + step])
        rows.append(np.asarray(fbank.peek(fbank.num_frames_ready)))
        fbank.pop(fbank.num_frames_ready)
    fbank.finish()
    np.testing.assert_array_equal(np.concatenate(rows), expected)


def test_peek_and_pop_walk_through_the_frames() -> None:
    fbank = Fbank()
    fbank.accept(array("f", np.random.default_rng(1).normal(0, 0.1, 4000).tolist()))
    frames = np.asarray(fbank.peek(100))
    assert frames.shape == (23, 80)
    for count in (1, 3, 11):
        np.testing.assert_array_equal(np.asarray(fbank.peek(2)), frames[:2])
        fbank.pop(count)
        frames = frames[count:]
        assert fbank.num_frames_ready == len(frames)
    with pytest.raises(UsageError, match="pop of 9 frames; 8 are ready"):
        fbank.pop(9)


@pytest.mark.parametrize(("num_samples", "num_frames"), [(0, 0), (399, 0), (400, 1), (560, 2)])
def test_number_of_frames(num_samples: int, num_frames: int) -> None:
    fbank = Fbank()
    fbank.accept(array("f", [0.0] * num_samples))
    fbank.finish()
    assert fbank.num_frames_ready == num_frames
    assert np.all(np.asarray(fbank.peek(9)) == np.float32(np.log(2.0**-23)))


def test_copy_and_saved_state_continue_alike(clip: array) -> None:
    fbank = Fbank()
    fbank.accept(clip[:5003])
    fbank.pop(4)
    resumed = Fbank()
    resumed.restore(fbank.save())
    streams = [fbank, fbank.copy(), resumed]
    for stream in streams:
        stream.accept(clip[5003:])
    first, *others = [np.asarray(stream.peek(10_000)) for stream in streams]
    np.testing.assert_array_equal(first, whole(clip)[4:])
    for other in others:
        np.testing.assert_array_equal(other, first)


def test_damaged_state_is_refused() -> None:
    state = Fbank().save()
    for bad in (b"", state[:-1], state + b"x", b"????" + state[4:], Fbank(num_mel_bins=40).save()):
        with pytest.raises(InputError):
            Fbank().restore(bad)


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf")])
def test_samples_that_are_no_numbers(bad: float) -> None:
    fbank = Fbank()
    fbank.accept(array("f", [0.0] * 10))
    with pytest.raises(AudioError, match="sample 12 is NaN or infinite"):
        fbank.accept(array("f", [0.0, 0.0, bad, 0.0]))
    assert fbank.num_samples_accepted == 10


def test_huge_finite_samples_stay_finite() -> None:
    fbank = Fbank()
    fbank.accept(array("f", [3e38, -3e38] * 300))
    assert np.isfinite(np.asarray(fbank.peek(9))).all()


def test_samples_after_finish_need_reset() -> None:
    fbank = Fbank()
    fbank.finish()
    with pytest.raises(UsageError, match=r"finish\(\) has been called"):
        fbank.accept(array("f", [0.0]))
    fbank.reset()
    fbank.accept(array("f", [0.0] * 400))
    assert fbank.num_frames_ready == 1


@pytest.mark.parametrize(
    "options",
    [
        {"sample_rate_hz": 0},
        {"num_mel_bins": 0},
        {"frame_shift_ms": 0},
        {"frame_shift_ms": 30},
        {"low_hz": 9000.0},
        {"high_hz": 9000.0},
        {"low_hz": float("nan")},
    ],
    ids=str,
)
def test_options_out_of_range(options: dict[str, float]) -> None:
    with pytest.raises(UsageError, match="fbank: "):
        Fbank(**options)


def test_buffers_of_any_kind() -> None:
    values = np.random.default_rng(2).normal(0, 0.1, 800).astype(np.float32)
    values.flags.writeable = False
    frames = []
    for samples in (values, array("f", values), memoryview(values.tobytes()).cast("f")):
        fbank = Fbank()
        fbank.accept(samples)
        frames.append(bytes(fbank.peek(9)))
    assert frames[0] == frames[1] == frames[2]
    with pytest.raises(TypeError):
        Fbank().accept(values.astype(np.float64))
