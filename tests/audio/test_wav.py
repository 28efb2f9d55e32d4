"""The WAV reader: every coding it knows, and headers that lie."""

from __future__ import annotations

import os
import resource
import struct
import threading
from pathlib import Path

import numpy as np
import pytest
import soundfile

from halfbyte import _core
from halfbyte.errors import AudioError

WavReader = _core.audio.WavReader
PCM, FLOAT, A_LAW, MU_LAW, EXTENSIBLE = 1, 3, 6, 7, 0xFFFE


def chunk(name: bytes, content: bytes, size: int | None = None) -> bytes:
    return name + struct.pack("<I", len(content) if size is None else size) + content


def fmt(
    tag: int = PCM,
    channels: int = 1,
    rate_hz: int = 16000,
    bits: int = 16,
    frame_bytes: int | None = None,
    extra: bytes = b"",
) -> bytes:
    frame_bytes = channels * bits // 8 if frame_bytes is None else frame_bytes
    byte_rate = rate_hz * frame_bytes % 2**32
    fields = struct.pack("<HHIIHH", tag, channels, rate_hz, byte_rate, frame_bytes, bits)
    return chunk(b"fmt ", fields + extra)


def riff(*chunks: bytes, name: bytes = b"RIFF") -> bytes:
    return chunk(name, b"WAVE" + b"".join(chunks))


def read(path: Path, block_samples: int = 1 << 20) -> np.ndarray:
    reader, parts = WavReader(path), []
    while len(part := np.asarray(reader.read(block_samples))):
        parts.append(part)
    return np.concatenate(parts) if parts else np.zeros(0, np.float32)


CODES = np.arange(-1000, 1000, 7, dtype=np.int16)
DATA = CODES.tobytes()


def written(folder: Path, content: bytes) -> Path:
    path = folder / "audio.wav"
    path.write_bytes(content)
    return path


@pytest.mark.parametrize(
    "subtype", ["PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE", "ULAW", "ALAW"]
)
@pytest.mark.parametrize("container", ["WAV", "WAVEX", "RF64"])
@pytest.mark.parametrize("channels", [1, 2, 5])
def test_equals_libsndfile(tmp_path: Path, subtype: str, container: str, channels: int) -> None:
    if container == "RF64" and subtype in ("ULAW", "ALAW"):
        container = "WAV"  # libsndfile writes no companded RF64
    values = np.random.default_rng(7).uniform(-1, 1, (5003, channels))
    soundfile.write(tmp_path / "a.wav", values, 22050, subtype, format=container)
    expected, _ = soundfile.read(tmp_path / "a.wav", dtype="float64", always_2d=True)
    reader = WavReader(tmp_path / "a.wav")
    assert (reader.sample_rate_hz, reader.num_channels) == (22050, channels)
    assert reader.num_samples == 5003
    mono = sum(expected[:, c] for c in range(channels)) / channels
    np.testing.assert_array_equal(read(tmp_path / "a.wav"), mono.astype(np.float32))


@pytest.mark.parametrize("block_samples", [1, 97, 4096, 4097])
def test_block_size_changes_nothing(tmp_path: Path, block_samples: int) -> None:
    path = written(tmp_path, riff(fmt(), chunk(b"data", DATA * 20)))
    np.testing.assert_array_equal(read(path, block_samples), np.tile(CODES / 32768, 20))


@pytest.mark.parametrize("size", [0, 0xFFFFFFFF, 0x7FFFFFFF, len(DATA) + 2])
def test_data_size_that_the_writer_did_not_know(tmp_path: Path, size: int) -> None:
    path = written(tmp_path, riff(fmt(), chunk(b"data", DATA, size)))
    assert WavReader(path).num_samples == len(CODES)
    np.testing.assert_array_equal(read(path), CODES / 32768)


def test_rf64_sizes(tmp_path: Path) -> None:
    ds64 = chunk(b"ds64", struct.pack("<QQQI", 0, 8, 4, 0))
    path = written(tmp_path, riff(ds64, fmt(), chunk(b"data", DATA, 0xFFFFFFFF), name=b"RF64"))
    np.testing.assert_array_equal(read(path), CODES[:4] / 32768)


def test_chunks_around_the_audio_are_skipped(tmp_path: Path) -> None:
    odd = chunk(b"LIST", b"abc") + b"\0"
    path = written(tmp_path, riff(odd, fmt(extra=b"\0\0"), odd, chunk(b"data", DATA), odd))
    np.testing.assert_array_equal(read(path), CODES / 32768)


def test_piece_of_a_frame_at_the_end_is_dropped(tmp_path: Path) -> None:
    path = written(tmp_path, riff(fmt(channels=2), chunk(b"data", b"\0\x40\0\x20\0\x40")))
    np.testing.assert_array_equal(read(path), [0.375])


@pytest.mark.parametrize("size", [0, 0xFFFFFFFF, len(DATA)])
def test_pipe(tmp_path: Path, size: int) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    content = riff(fmt(), chunk(b"data", DATA, size))
    writer = threading.Thread(target=path.write_bytes, args=(content,))
    writer.start()
    reader = WavReader(path)
    assert reader.num_samples == (len(CODES) if size == len(DATA) else None)
    np.testing.assert_array_equal(np.asarray(reader.read(10_000)), CODES / 32768)
    writer.join()


HOSTILE = {
    "empty": (b"", "is empty"),
    "text": (b"hello, this is no audio at all", "not a WAV file"),
    "short text": (b"hi", "not a WAV file"),
    "flac": (b"fLaC" + bytes(100), "not a WAV file"),
    "avi": (b"RIFF" + bytes(4) + b"AVI " + bytes(50), "not a WAV file"),
    "riff alone": (b"RIFF\0\0", "ends after 6 bytes"),
    "no chunks": (riff(), "ends before its data chunk"),
    "no fmt": (riff(chunk(b"data", DATA)), "before its fmt chunk"),
    "no data": (riff(fmt()), "ends before its data chunk"),
    "no samples": (riff(fmt(), chunk(b"data", b"")), "holds no samples"),
    "cut in fmt": (riff(fmt())[:30], "ends in its fmt chunk"),
    "fmt too short": (riff(chunk(b"fmt ", bytes(14)), chunk(b"data", DATA)), "14 bytes"),
    "fmt too long": (riff(chunk(b"fmt ", bytes(16), 2**32 - 1)), "4294967295 bytes"),
    "chunk beyond the end": (riff(chunk(b"JUNK", b"", 2**32 - 1)), "cut short"),
    "0 Hz": (riff(fmt(rate_hz=0), chunk(b"data", DATA)), "0 Hz"),
    "4 GHz": (riff(fmt(rate_hz=2**32 - 1), chunk(b"data", DATA)), "4294967295 Hz"),
    "0 channels": (riff(fmt(channels=0), chunk(b"data", DATA)), "0 channels"),
    "65535 channels": (riff(fmt(channels=65535, frame_bytes=2), b""), "65535 channels"),
    "12 bits": (riff(fmt(bits=12), chunk(b"data", DATA)), "coding 1 with 12 bits"),
    "adpcm": (riff(fmt(tag=2, bits=4), chunk(b"data", DATA)), "coding 2 is not built in"),
    "half floats": (riff(fmt(tag=FLOAT), chunk(b"data", DATA)), "coding 3 with 16 bits"),
    "frame bytes": (riff(fmt(frame_bytes=3), chunk(b"data", DATA)), "frames have 3 bytes"),
    "extensible": (riff(fmt(tag=EXTENSIBLE), chunk(b"data", DATA)), "shorter than 40"),
    "ds64": (riff(chunk(b"ds64", bytes(8)), name=b"RF64"), "ds64 chunk has 8 bytes"),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_hostile_header(tmp_path: Path, case: str) -> None:
    content, message = HOSTILE[case]
    with pytest.raises(AudioError, match=message) as caught:
        WavReader(written(tmp_path, content))
    assert "\n" not in str(caught.value)
    assert "audio.wav: " in str(caught.value)


def test_every_cut_of_a_header_is_one_clear_error(tmp_path: Path) -> None:
    content = riff(chunk(b"LIST", b"abcd"), fmt(), chunk(b"data", DATA))
    for size in range(content.index(b"data") + 9):
        with pytest.raises(AudioError):
            WavReader(written(tmp_path, content[:size]))


def test_flipped_header_bytes_give_audio_or_an_audio_error(tmp_path: Path) -> None:
    content = riff(fmt(), chunk(b"data", DATA))
    for place in range(44):
        for value in (0, 1, 0x7F, 0x80, 0xFF):
            flipped = content[:place] + bytes([value]) + content[place + 1 :]
            try:
                assert len(read(written(tmp_path, flipped))) <= len(DATA)
            except AudioError:
                continue


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), 1e300])
def test_float_samples_that_are_no_numbers(tmp_path: Path, bad: float) -> None:
    values = np.zeros(9000)
    values[5000] = bad
    path = written(tmp_path, riff(fmt(FLOAT, bits=64), chunk(b"data", values.tobytes())))
    with pytest.raises(AudioError, match=r"audio\.wav: sample 5000 is NaN or infinite"):
        read(path)


def test_missing_file_folder_and_odd_names(tmp_path: Path) -> None:
    with pytest.raises(AudioError, match="no such file"):
        WavReader(tmp_path / "none.wav")
    with pytest.raises(AudioError, match="a folder"):
        WavReader(str(tmp_path))
    with pytest.raises(AudioError, match=r"a\?b\.wav: no such file") as caught:
        WavReader(tmp_path / "a\nb.wav")
    assert "\n" not in str(caught.value)
    name = tmp_path / "höre.wav"
    name.write_bytes(riff(fmt(), chunk(b"data", DATA)))
    assert WavReader(name).num_samples == len(CODES)


def test_from_s16() -> None:
    for codes in (DATA, bytearray(DATA), memoryview(DATA)):
        np.testing.assert_array_equal(np.asarray(_core.audio.from_s16(codes)), CODES / 32768)
    with pytest.raises(AudioError, match="even number"):
        _core.audio.from_s16(b"abc")


def test_an_hour_takes_no_more_memory_than_a_second(tmp_path: Path) -> None:
    num_samples = 3600 * 16000
    path = written(tmp_path, riff(fmt(), chunk(b"data", b"", 2 * num_samples)))
    os.truncate(path, 44 + 2 * num_samples)  # a hole, read as zeros
    reader, num_read = WavReader(path), 0
    assert reader.num_samples == num_samples
    num_read += len(reader.read(16000))
    before_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    while count := len(reader.read(16000)):
        num_read += count
    assert num_read == num_samples
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before_kib < 2048
