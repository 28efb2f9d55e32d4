"""Audio that nobody can recognise, and odd audio that can be read all the same."""

import io
import struct

import numpy as np
import soundfile
from hostile.case import Hostile

RATE_HZ = 16000
SAMPLES = (np.sin(np.arange(RATE_HZ // 2) * 0.3) * 9000).astype("<i2")
UNKNOWN = 0xFFFFFFFF


def chunk(name: bytes, content: bytes, size: int | None = None) -> bytes:
    """A RIFF chunk, which may lie about its size."""
    stated = len(content) if size is None else size
    return name + struct.pack("<I", stated) + content + bytes(len(content) % 2)


def fmt(tag=1, channels=1, rate_hz=RATE_HZ, frame_bytes=2, bits=16, more=b"", size=None) -> bytes:
    rate = struct.pack("<II", rate_hz, rate_hz * frame_bytes % 2**32)
    return chunk(
        b"fmt ",
        struct.pack("<HH", tag, channels) + rate + struct.pack("<HH", frame_bytes, bits) + more,
        size,
    )


def riff(*chunks: bytes, magic=b"RIFF", form=b"WAVE", size: int | None = None) -> bytes:
    content = form + b"".join(chunks)
    return magic + struct.pack("<I", len(content) if size is None else size) + content


DATA = chunk(b"data", SAMPLES.tobytes())
WAV = riff(fmt(), DATA)


def floats(bits: int, place: int, value: float) -> bytes:
    """A float WAV with one odd sample."""
    samples = (SAMPLES / 32768).astype(f"<f{bits // 8}")
    samples[place] = value
    return riff(fmt(3, frame_bytes=bits // 8, bits=bits), chunk(b"data", samples.tobytes()))


def coded(container: str, subtype: str | None = None, endian: str | None = None) -> bytes:
    file = io.BytesIO()
    soundfile.write(file, SAMPLES, RATE_HZ, format=container, subtype=subtype, endian=endian)
    return file.getvalue()


def damaged(content: bytes, start: int, step: int) -> bytes:
    """Every `step`-th byte from `start` on turned over."""
    changed = bytearray(content)
    changed[start::step] = bytes(byte ^ 0xFF for byte in changed[start::step])
    return bytes(changed)


def cut_wavs() -> dict[str, Hostile]:
    sizes = [0, 1, 4, 7, 8, 11, 12, 15, 16, 19, 20, 23, 27, 34, 35, 36, 39, 40, 43, 44]
    reason = "empty|not a WAV|ends|cut short|no samples"
    return {f"cut-at-{size:02d}.wav": Hostile(WAV[:size], reason) for size in sizes}


def lying_headers() -> dict[str, Hostile]:
    formats = {
        "no-channels": (fmt(channels=0, frame_bytes=0), "0 channels"),
        "65-channels": (fmt(channels=65, frame_bytes=130), "65 channels"),
        "65535-channels": (fmt(channels=65535, frame_bytes=65534), "65535 channels"),
        "0-hz": (fmt(rate_hz=0), "0 Hz"),
        "768001-hz": (fmt(rate_hz=768001), "768001 Hz"),
        "4-ghz": (fmt(rate_hz=2**32 - 1), "4294967295 Hz"),
        "frames-of-0-bytes": (fmt(frame_bytes=0), "0 bytes"),
        "frames-of-1-byte": (fmt(frame_bytes=1), "1 bytes"),
        "frames-of-65535-bytes": (fmt(frame_bytes=65535), "65535 bytes"),
        "stereo-in-mono-frames": (fmt(channels=2), "2 bytes"),
        "extensible-without-extension": (fmt(0xFFFE), "40 bytes"),
        "extensible-of-no-coding": (fmt(0xFFFE, more=bytes(24)), "coding 0"),
    }
    for tag in (0, 2, 17, 0x55, 0x161, 0xFFFF):
        formats[f"coding-{tag}"] = (fmt(tag), f"coding {tag}")
    for bits in (0, 1, 4, 12, 15, 17, 20, 64, 65535):
        formats[f"pcm-of-{bits}-bits"] = (fmt(bits=bits), f"{bits} bits")
    for bits in (8, 16, 24, 80):
        formats[f"float-of-{bits}-bits"] = (fmt(3, bits=bits), f"{bits} bits")
    formats["mu-law-of-16-bits"] = (fmt(7), "16 bits")
    for size in (0, 8, 15, 4097, 2**31, UNKNOWN):
        formats[f"fmt-of-{size}-bytes"] = (fmt(size=size), f"{size} bytes")
    return {f"{n}.wav": Hostile(riff(f, DATA), reason) for n, (f, reason) in formats.items()}


def lying_chunks() -> dict[str, Hostile]:
    cut, lost = "cut short", "before its fmt"
    wide = chunk(b"LIST", b"INFO", UNKNOWN)
    ds64 = struct.pack("<QQQI", 0, 0, 0, 0)
    contents = {
        "no-chunks": (riff(), cut),
        "no-data": (riff(fmt()), cut),
        "no-format": (riff(DATA), lost),
        "data-first": (riff(DATA, fmt()), lost),
        "list-to-the-end": (riff(wide, fmt(), DATA), cut),
        "list-of-2-gib": (riff(chunk(b"LIST", b"", 2**31), fmt(), DATA), cut),
        "list-over-the-data": (riff(fmt(), chunk(b"LIST", b"", len(DATA) + 99), DATA), cut),
        "junk-only": (riff(*[chunk(b"junk", b"")] * 5000), cut),
        "data-of-one-byte": (riff(fmt(), chunk(b"data", b"\1")), "no samples"),
        "data-of-half-a-frame": (riff(fmt(channels=2, frame_bytes=4), chunk(b"data", b"ab")), "no"),
        "no-data-bytes": (riff(fmt(), chunk(b"data", b"")), "no samples"),
        "ds64-of-0-bytes": (riff(chunk(b"ds64", b""), fmt(), DATA, magic=b"RF64"), "ds64"),
        "ds64-of-23-bytes": (riff(chunk(b"ds64", bytes(23)), fmt(), DATA, magic=b"RF64"), "ds64"),
        "ds64-cut": (riff(chunk(b"ds64", bytes(9), 28), magic=b"RF64"), "ds64"),
        "ds64-of-4-gib": (riff(chunk(b"ds64", ds64, UNKNOWN), fmt(), DATA, magic=b"RF64"), cut),
        "rf64-without-data": (riff(chunk(b"ds64", ds64), fmt(), magic=b"RF64"), cut),
        "avi": (riff(fmt(), DATA, form=b"AVI "), "not a WAV"),
        "little-endian-rifx": (riff(fmt(), DATA, magic=b"RIFX"), "not a WAV"),
    }
    return {f"{name}.wav": Hostile(*content) for name, content in contents.items()}


def no_numbers() -> dict[str, Hostile]:
    values = {"nan": np.nan, "inf": np.inf, "minus-inf": -np.inf}
    places = {"first": 0, "middle": len(SAMPLES) // 2, "last": -1}
    files = {
        f"{name}-{where}-f{bits}.wav": Hostile(floats(bits, place, value), "NaN|finite|infin")
        for name, value in values.items()
        for where, place in places.items()
        for bits in (32, 64)
    }
    files["double-beyond-float.wav"] = Hostile(floats(64, 5, 1e300), "NaN|finite|infin")
    files["very-loud.wav"] = Hostile(floats(32, 5, 3e38), "32768")
    return files


def other_things() -> dict[str, Hostile]:
    random = np.random.default_rng(7).bytes
    things = {
        "text": b"these are words, not sound\n",
        "html": b"<!doctype html><title>404</title>",
        "json": b'{"audio": null}',
        "utf16": "not sound".encode("utf-16"),
        "png": b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + bytes(60),
        "zip": b"PK\3\4" + bytes(60),
        "gzip": b"\x1f\x8b\x08" + bytes(60),
        "pdf": b"%PDF-1.7\n" + bytes(60),
        "elf": b"\x7fELF" + bytes(60),
        "pickle": b"\x80\4\x95" + bytes(60),
        "model": b"HALFBYTE" + bytes(120),
        "zeros": bytes(5000),
        "noise": b"x" + random(5000),
        "raw-samples": SAMPLES.tobytes(),
    }
    # Two bytes of a byte-order mark look like MP3.
    return {name: Hostile(content, "not a WAV|cannot read") for name, content in things.items()}


def compressed() -> dict[str, Hostile]:
    random = np.random.default_rng(9).bytes
    flac, ogg, mp3 = coded("FLAC"), coded("OGG", "VORBIS"), coded("MP3", "MPEG_LAYER_III")
    things = {
        "flac-magic.flac": b"fLaC",
        "flac-noise.flac": b"fLaC" + random(4000),
        "flac-cut-in-header.flac": flac[:30],
        "flac-without-frames.flac": flac[:42],
        "flac-damaged-header.flac": damaged(flac[:42], 5, 3) + flac[42:],
        "ogg-magic.ogg": b"OggS",
        "ogg-noise.ogg": b"OggS" + random(4000),
        "ogg-cut-in-header.ogg": ogg[:40],
        "ogg-headers-only.ogg": ogg[:120],
        "ogg-damaged.ogg": damaged(ogg, 30, 7),
        "opus-cut.opus": coded("OGG", "OPUS")[:60],
        "opus-damaged.opus": damaged(coded("OGG", "OPUS"), 28, 5),
        "mp3-tag-only.mp3": b"ID3\4\0\0\0\0\0\0",
        "mp3-endless-tag.mp3": b"ID3\4\0\0\x7f\x7f\x7f\x7f" + bytes(90),
        "mp3-tag-and-noise.mp3": b"ID3\4\0\0\0\0\0\0" + random(4000),
        "mp3-sync-words.mp3": b"\xff\xfb" * 2000,
        "mp3-ones.mp3": b"\xff" * 4000,
        "mp3-one-header.mp3": mp3[:4],
    }
    return {name: Hostile(content, "cannot read|no samples") for name, content in things.items()}


def hostile_audio() -> dict[str, Hostile]:
    """Every hostile recording by file name."""
    groups = (
        *(cut_wavs(), lying_headers(), lying_chunks(), no_numbers(), other_things()),
        compressed(),
    )
    return {name: case for group in groups for name, case in group.items()}


def odd_audio() -> dict[str, bytes]:
    """Recordings that are odd, but hold SAMPLES or a part of them in some form."""
    wide = np.repeat(SAMPLES[:, None], 64, axis=1)
    rf64 = chunk(b"ds64", struct.pack("<QQQI", 0, 2 * len(SAMPLES), len(SAMPLES), 0))
    return {
        "32-channels.wav": riff(
            fmt(channels=32, frame_bytes=64), chunk(b"data", wide[:, :32].tobytes())
        ),
        "64-channels.wav": riff(fmt(channels=64, frame_bytes=128), chunk(b"data", wide.tobytes())),
        "size-unknown.wav": riff(fmt(), chunk(b"data", SAMPLES.tobytes(), UNKNOWN), size=UNKNOWN),
        "size-zero.wav": riff(fmt(), chunk(b"data", SAMPLES.tobytes(), 0), size=0),
        "riff-size-lies.wav": riff(fmt(), DATA, size=7),
        "odd-chunk.wav": riff(chunk(b"LIST", b"abc"), fmt(), DATA),
        "two-formats.wav": riff(fmt(channels=2, frame_bytes=4), fmt(), DATA),
        "trailing-bytes.wav": WAV + b"ID3 and so on",
        "half-a-sample-more.wav": riff(fmt(), chunk(b"data", SAMPLES.tobytes() + b"\1")),
        "rf64.wav": riff(rf64, fmt(), chunk(b"data", SAMPLES.tobytes(), UNKNOWN), magic=b"RF64"),
        "rf64-without-ds64.wav": riff(
            fmt(), chunk(b"data", SAMPLES.tobytes(), UNKNOWN), magic=b"RF64"
        ),
        "denormal.wav": floats(64, 5, 1e-320),
        "wav-named-mp3.mp3": WAV,
        "flac-named-wav.wav": coded("FLAC"),
        "aiff.aiff": coded("AIFF"),
        "au.au": coded("AU"),
        "caf.caf": coded("CAF"),
        "w64.w64": coded("W64"),
        "big-endian.wav": coded("WAV", endian="BIG"),
        "24-bits-in-4-bytes.wav": riff(
            fmt(frame_bytes=4, bits=24),
            chunk(b"data", (SAMPLES.astype("<i4") << 16).tobytes()),
        ),
        "odd-chunk-without-its-zero.wav": riff(chunk(b"LIST", b"abc")[:-1], fmt(), DATA),
    }
