"""Audio files as blocks of samples: WAV built in, other formats through soundfile."""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from halfbyte import _core
from halfbyte.errors import AudioError, how_to_install

BLOCK_S = 1.0  # seconds of audio read at a time


class AudioFile:
    """An open audio file; iterate over it for (S,) float32 blocks of one channel.

    Args:
        path: a WAV file; flac, ogg, opus and mp3 need the extra `audio`.

    A WAV file that ends before the size in its header is read to its end, and `warning` goes to
    the logger `halfbyte`, whose default is standard error.

    Raises:
        AudioError: missing, empty or damaged; at a rate that cannot be resampled; or a format
            that needs the extra.
    """

    def __init__(self, path: str | os.PathLike[str]):
        self.path = Path(path)
        self._wav = None if _is_other_format(self.path) else _core.audio.WavReader(self.path)
        if self._wav:
            self.sample_rate_hz = self._wav.sample_rate_hz
        else:
            self._sound = _open_with_soundfile(self.path)
            self.sample_rate_hz = self._sound.samplerate
        try:
            _core.audio.Resampler.check_rate(self.sample_rate_hz)
        except AudioError as error:
            raise AudioError(f"cannot read audio {path}: {error}") from None

    def __iter__(self) -> Iterator[Any]:
        block_samples = int(self.sample_rate_hz * BLOCK_S)
        read = self._wav.read if self._wav else self._read_mono
        while len(block := read(block_samples)):
            yield block
        if self._wav and self.warning:
            import logging  # most runs need none

            logging.getLogger("halfbyte").warning("warning: %s: %s", self._wav.name, self.warning)

    @property
    def warning(self) -> str:
        """What was wrong with the file, known when it has been read; empty for a whole one."""
        if not self._wav or not self._wav.num_missing_samples:
            return ""
        missing_s = self._wav.num_missing_samples / self.sample_rate_hz
        return f"the file ends {missing_s:.2f} s before its header says; read to its end"

    def _read_mono(self, num_samples: int) -> Any:
        import soundfile

        try:
            with _quiet_libraries():
                samples = self._sound.read(num_samples, dtype="float32", always_2d=True)
        except soundfile.LibsndfileError as error:
            raise AudioError(f"cannot read audio {self.path}: {error.error_string}") from error
        return samples.mean(axis=1)


def _is_other_format(path: Path) -> bool:
    """Whether the file begins like something that is not WAV but that soundfile reads."""
    if not path.is_file():  # a pipe loses what is read from it; what is missing, WavReader says
        return False
    try:
        with path.open("rb") as file:
            magic = file.read(4)
    except OSError as error:
        raise AudioError(f"cannot read audio {path}: {error.strerror}") from error
    is_mp3 = magic[:3] == b"ID3" or (magic[:1] == b"\xff" and magic[1:2] >= b"\xe0")
    return magic in (b"fLaC", b"OggS") or is_mp3


_LIBRARIES = threading.Lock()


@contextmanager
def _quiet_libraries() -> Iterator[None]:
    """Keep libmpg123's notes about damaged files off standard error, where our lines go.

    The whole process's standard error is away for as long as this takes, so one thread at a time.
    """
    with _LIBRARIES:
        try:
            kept = os.dup(2)
        except OSError:  # the process has no standard error
            yield
            return
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, 2)
        os.close(nowhere)
        try:
            yield
        finally:
            os.dup2(kept, 2)
            os.close(kept)


def _open_with_soundfile(path: Path) -> Any:
    try:
        import soundfile
    except (ModuleNotFoundError, OSError):  # OSError: without its libsndfile
        raise AudioError(
            f"{path} is not WAV; to read flac, ogg, opus and mp3, {how_to_install('audio')}"
        ) from None
    try:
        with _quiet_libraries():
            sound = soundfile.SoundFile(path)
    except soundfile.LibsndfileError as error:
        raise AudioError(f"cannot read audio {path}: {error.error_string}") from error
    if sound.frames == 0:
        raise AudioError(f"{path}: the file holds no samples")
    return sound
