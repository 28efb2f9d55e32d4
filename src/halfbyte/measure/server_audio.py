"""Speech for the load generator: recordings one after the other in a file of samples."""

import os
from pathlib import Path

import numpy as np

from halfbyte.data.audio import read_audio
from halfbyte.data.manifest import evenly_spread, read_manifest, worded_manifests
from halfbyte.errors import UsageError
from halfbyte.measure.server_load import SAMPLE_RATE_HZ

UTTERANCES_PER_CORPUS = 40


def write_speech(path: Path, recordings: list[Path]) -> float:
    """Write recordings as s16le at 16 kHz; returns their duration in seconds."""
    samples = [read_audio(recording, SAMPLE_RATE_HZ) for recording in recordings]
    codes = np.clip(np.rint(np.concatenate(samples) * 32768), -32768, 32767).astype("<i2")
    path.write_bytes(codes.tobytes())
    return len(codes) / SAMPLE_RATE_HZ


def recordings_of(audio: list[Path]) -> list[Path]:
    """The recordings given; else, evenly spread, some of every test split of HALFBYTE_DATA.

    Raises:
        UsageError: neither is there.
    """
    if audio:
        return audio
    data = os.environ.get("HALFBYTE_DATA")
    found: list[Path] = []
    for manifest in worded_manifests(Path(data), "test") if data else []:
        utterances = [u for u in read_manifest(manifest) if u.text]
        found += [u.audio_path for u in evenly_spread(utterances, UTTERANCES_PER_CORPUS)]
    if not found:
        raise UsageError("no speech to play; give WAV files or set HALFBYTE_DATA")
    return found
