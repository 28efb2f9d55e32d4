"""Audio files of every kind give the samples that are in them, or one clear line."""

import os
import subprocess
import sys
import threading

import numpy as np
import pytest
import soundfile
from hostile.audio import SAMPLES, odd_audio
from tones import recording

from halfbyte import AudioError, StreamOptions, UsageError
from halfbyte.audio_file import AudioFile
from halfbyte.data.audio import read_audio

SPEECH = (recording("low high mid", pause_s=0.2) * 32768).astype(np.int16)
RATE_HZ = 16000


def samples_of(path, channel: int | None = None) -> np.ndarray:
    return np.concatenate([np.asarray(block) for block in AudioFile(path, channel)])


@pytest.fixture
def wav(tmp_path):
    path = tmp_path / "speech.wav"
    soundfile.write(path, SPEECH, RATE_HZ)
    return path


def test_flac_has_the_samples_of_wav(wav, tmp_path):
    flac = tmp_path / "speech.flac"
    soundfile.write(flac, SPEECH, RATE_HZ)
    np.testing.assert_array_equal(samples_of(flac), samples_of(wav))


@pytest.mark.parametrize(
    ("suffix", "coding"),
    [("ogg", "VORBIS"), ("opus", "OPUS"), ("mp3", "MPEG_LAYER_III")],
)
def test_lossy_formats_are_read_and_understood(recognizer, tmp_path, suffix, coding):
    path = tmp_path / f"speech.{suffix}"
    container = "MP3" if suffix == "mp3" else "OGG"
    soundfile.write(path, SPEECH, RATE_HZ, format=container, subtype=coding)
    assert AudioFile(path).sample_rate_hz in (16000, 48000)
    (final,) = recognizer.transcribe(path)
    assert final.text == "low high mid"


def test_the_chunk_alone_may_stand_for_the_options(recognizer, wav):
    options = StreamOptions(chunk_ms=320)
    assert recognizer.transcribe(wav, 320) == recognizer.transcribe(wav, options)
    with pytest.raises(UsageError, match="chunk_ms is '320'; expected a whole number"):
        recognizer.transcribe(wav, "320")


@pytest.mark.parametrize("suffix", ["wav", "flac"])
def test_a_rate_too_low_is_said_of_the_file(tmp_path, suffix):
    path = tmp_path / f"slow.{suffix}"
    soundfile.write(path, SPEECH, 4000)
    with pytest.raises(AudioError, match=f"slow.{suffix}: a sample rate of 4000 Hz; 8000 to"):
        AudioFile(path)


@pytest.mark.parametrize("suffix", ["wav", "flac"])
def test_channels_are_averaged(tmp_path, suffix):
    path = tmp_path / f"stereo.{suffix}"
    soundfile.write(path, np.stack([SPEECH, np.zeros_like(SPEECH)], axis=1), RATE_HZ)
    np.testing.assert_allclose(samples_of(path), SPEECH / 65536, atol=2e-5)


@pytest.mark.parametrize("suffix", ["wav", "flac"])
def test_a_channel_can_be_chosen(tmp_path, suffix):
    path = tmp_path / f"stereo.{suffix}"
    soundfile.write(path, np.stack([np.zeros_like(SPEECH), SPEECH], axis=1), RATE_HZ)
    assert not samples_of(path, 1).any()
    np.testing.assert_allclose(samples_of(path, 2), SPEECH / 32768, atol=1e-4)
    for channel in (0, 3):
        with pytest.raises(AudioError, match=rf"channel {channel} is not there; it has 2"):
            AudioFile(path, channel)


@pytest.mark.parametrize("suffix", ["wav", "flac"])
def test_channels_that_cancel_each_other_are_told(tmp_path, suffix, caplog):
    path = tmp_path / f"stereo.{suffix}"
    for other, is_told in ((-SPEECH, True), (SPEECH, False), (np.roll(SPEECH, 99), False)):
        soundfile.write(path, np.stack([SPEECH, other], axis=1), RATE_HZ)
        caplog.clear()
        samples_of(path)
        assert ("its channels cancel each other" in caplog.text) == is_told
        caplog.clear()
        samples_of(path, 2)
        assert caplog.text == ""


def test_samples_can_be_left_out(wav, tmp_path):
    flac = tmp_path / "speech.flac"
    soundfile.write(flac, SPEECH, RATE_HZ)
    for path in (wav, flac):
        for num_samples, left in ((1234, len(SPEECH) - 1234), (len(SPEECH) + 9, 0)):
            file = AudioFile(path)
            file.skip(num_samples)
            blocks = [np.asarray(block) for block in file]
            found = np.concatenate([np.empty(0, np.float32), *blocks])
            np.testing.assert_array_equal(found, samples_of(path)[len(SPEECH) - left :])


def test_what_training_reads_is_what_the_device_reads(tmp_path):
    for name, content in odd_audio().items():
        path = tmp_path / name
        path.write_bytes(content)
        file = AudioFile(path)
        if file.sample_rate_hz == RATE_HZ:
            np.testing.assert_array_equal(read_audio(path, RATE_HZ), samples_of(path), name)


def test_other_codings_of_wav_go_to_libsndfile(tmp_path):
    path = tmp_path / "adpcm.wav"
    soundfile.write(path, SPEECH, RATE_HZ, subtype="IMA_ADPCM")
    assert np.corrcoef(samples_of(path)[: len(SPEECH)], SPEECH)[0, 1] > 0.99


def test_24_bits_in_4_bytes(tmp_path):
    path = tmp_path / "wide.wav"
    path.write_bytes(odd_audio()["24-bits-in-4-bytes.wav"])
    np.testing.assert_array_equal(samples_of(path), SAMPLES / np.float32(32768))


def test_what_is_read_is_named(tmp_path):
    path = tmp_path / "clip.m4a"
    path.write_bytes(b"\0\0\0\x20ftypM4A " + bytes(60))
    with pytest.raises(AudioError, match=r"what is read: WAV, .* flac, ogg, opus, mp3, aiff"):
        AudioFile(path)


def test_a_damaged_file_is_not_called_missing(tmp_path):
    path = tmp_path / "damaged.mp3"
    path.write_bytes(b"ID3" + bytes(200))
    with pytest.raises(AudioError) as caught:
        AudioFile(path)
    assert "exist" not in str(caught.value)


def test_the_name_does_not_matter_but_the_content(wav, tmp_path):
    flac = tmp_path / "speech.flac"
    soundfile.write(flac, SPEECH, RATE_HZ)
    expected = samples_of(wav)
    disguised = tmp_path / "disguised.wav"
    flac.rename(disguised)
    np.testing.assert_array_equal(samples_of(disguised), expected)
    wav.rename(tmp_path / "wav.mp3")
    np.testing.assert_array_equal(samples_of(tmp_path / "wav.mp3"), expected)


def test_a_pipe_loses_nothing(wav, tmp_path):
    """As in `halfbyte transcribe <(sox … -t wav -)`."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    content = wav.read_bytes()
    writer = threading.Thread(target=pipe.write_bytes, args=(content,))
    writer.start()
    received = samples_of(pipe)
    writer.join()
    np.testing.assert_array_equal(received, samples_of(wav))


def hostile_contents() -> dict[str, bytes]:
    png = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + bytes(50)
    return {
        "empty": b"",
        "text": b"this is no audio\n" * 20,
        "png": png,
        "a few bytes": b"RI",
        "flac magic": b"fLaC" + bytes(100),
        "ogg magic": b"OggS" + os.urandom(100),
        "mp3 magic": b"ID3" + bytes(200),
        "mp3 frame": b"\xff\xfb" + bytes(10),
    }


@pytest.mark.parametrize("name", hostile_contents())
def test_what_is_no_audio_is_refused_in_one_line(tmp_path, name):
    path = tmp_path / "hostile"
    path.write_bytes(hostile_contents()[name])
    with pytest.raises(AudioError) as caught:
        samples_of(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("suffix", ["wav", "flac", "ogg"])
def test_files_without_samples_are_refused(tmp_path, suffix):
    path = tmp_path / f"none.{suffix}"
    soundfile.write(path, SPEECH[:0], RATE_HZ)
    with pytest.raises(AudioError, match=r"holds no samples|is empty"):
        AudioFile(path)


@pytest.mark.parametrize("share", [0.1, 0.5, 0.99])
@pytest.mark.parametrize("suffix", ["flac", "ogg", "mp3"])
def test_files_cut_short_give_what_is_there_or_one_line(tmp_path, suffix, share):
    path = tmp_path / f"speech.{suffix}"
    soundfile.write(path, SPEECH, RATE_HZ)
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    try:
        num_samples, reason = len(samples_of(path)), ""
    except AudioError as error:
        num_samples, reason = 0, str(error)
    assert "\n" not in reason
    assert num_samples <= len(SPEECH) + 0.1 * RATE_HZ
    assert num_samples > 0 or reason


@pytest.mark.parametrize("name", ["missing.wav", "missing.flac", "a\nb.wav"])
def test_missing_files(tmp_path, name):
    with pytest.raises(AudioError, match="no such file") as caught:
        AudioFile(tmp_path / name)
    assert "\n" not in str(caught.value)


def test_a_folder(tmp_path):
    with pytest.raises(AudioError, match="a folder"):
        AudioFile(tmp_path)


def test_a_name_that_is_no_text(tmp_path):
    path = os.fsdecode(os.fsencode(tmp_path) + b"/\xff.wav")
    with pytest.raises(AudioError, match=r"\\xff\.wav: no such file"):
        AudioFile(path)


@pytest.mark.parametrize("missing", ["soundfile", "numpy"])
def test_without_the_extra_wav_is_read_and_flac_says_what_to_install(wav, tmp_path, missing):
    flac = tmp_path / "speech.flac"
    soundfile.write(flac, SPEECH, RATE_HZ)
    code = (
        f"import sys; sys.modules[{missing!r}] = None\n"
        "from halfbyte import AudioError\n"
        "from halfbyte.audio_file import AudioFile\n"
        f"assert sum(len(block) for block in AudioFile({str(wav)!r})) == {len(SPEECH)}\n"
        "try:\n"
        f"    AudioFile({str(flac)!r})\n"
        "except AudioError as error:\n"
        "    print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stderr == ""
    assert "pip install 'halfbyte[audio]'" in done.stdout
