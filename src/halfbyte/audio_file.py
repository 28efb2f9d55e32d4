"""The one reader of audio files: WAV built in, and all that soundfile reads where it is there."""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from halfbyte import _core
from halfbyte.errors import AudioError, how_to_install

BLOCK_S = 1.0  # seconds of audio read at a time
_DECODED_SAMPLES = 1 << 22  # of all channels together, that libsndfile decodes at once: 16 MB
_CANCELLED = 0.01  # channels of which the mean keeps less of their energy cancel each other
_OTHER_CODING = "is not built in"  # what the WAV reader says of a coding that it leaves to others
_KINDS = "WAV, and with the extra `audio` flac, ogg, opus, mp3, aiff and what else libsndfile reads"


class AudioFile:
    """An open audio file; iterate over it for (S,) float32 blocks of one channel.

    Other formats than WAV, and other codings in it than PCM, float, mu-law and A-law, go to
    soundfile; where a WAV header contradicts itself, it would guess. Pipes hold WAV alone.

    Args:
        path: a WAV file; flac, ogg, opus, mp3, aiff … need the extra `audio`.
        channel: the one to read, counted from 1; the mean of all channels if not given.

    `warning` goes to the logger `halfbyte`, whose default is standard error, when the file has
    been read: a WAV file that ends before the size in its header is read to its end, and channels
    may cancel each other.

    Attributes:
        sample_rate_hz: of the file.
        num_samples: per channel; None for a pipe whose writer did not say.
        is_cut_short: whether a WAV file ends before its header says.

    Raises:
        AudioError: missing, empty or damaged; at a rate that cannot be resampled; without the
            channel; or a format that is not read, or needs the extra.
    """

    def __init__(self, path: str | os.PathLike[str], channel: int | None = None):
        self.path = Path(path)
        self._reader: Any = _open(self.path, channel)
        self.sample_rate_hz: int = self._reader.sample_rate_hz
        self.num_samples: int | None = self._reader.num_samples
        promised: int = self._reader.num_missing_samples  # of all, before the first is read
        self.is_cut_short = promised > (self.num_samples or promised)
        try:
            _core.audio.Resampler.check_rate(self.sample_rate_hz)
        except AudioError as error:
            raise AudioError(f"cannot read audio {path}: {error}") from None

    def __iter__(self) -> Iterator[Any]:
        block_samples = int(self.sample_rate_hz * BLOCK_S)
        while len(block := self._reader.read(block_samples)):
            yield block
        if self.warning:
            import logging  # most runs need none

            logging.getLogger("halfbyte").warning(
                "warning: %s: %s", self._reader.name, self.warning
            )

    def skip(self, num_samples: int) -> None:
        """Leave out the next so many samples."""
        self._reader.skip(num_samples)

    @property
    def warning(self) -> str:
        """What was wrong with the file, known when it has been read; empty for a whole one."""
        missing_s = self._reader.num_missing_samples / self.sample_rate_hz
        said = []
        if missing_s:
            said.append(f"the file ends {missing_s:.2f} s before its header says; read to its end")
        if self._reader.mix_share < _CANCELLED:
            said.append("its channels cancel each other, so that little is left; choose one")
        return "; ".join(said)


def _open(path: Path, channel: int | None) -> Any:
    try:
        return _core.audio.WavReader(path, channel)
    except AudioError as error:
        # Missing, a folder; or a pipe, which loses what is read from it.
        if not path.is_file() or (_is_wav(path) and _OTHER_CODING not in str(error)):
            raise
        return _SoundFile(path, channel, str(error))


def _is_wav(path: Path) -> bool:
    with path.open("rb") as file:
        magic = file.read(12)
    return magic[:4] in (b"RIFF", b"RF64") and magic[8:] in (b"WAVE", b"")


class _SoundFile:
    """A file that libsndfile reads, with the methods of our WAV reader.

    libsndfile 1.2 decodes the packets of some Opus files wrongly around the end of a read (seen in
    27 of 55 files in blocks of 320 samples, in 2 of them in blocks of a second). So it decodes some
    minutes at once, a usual recording whole, and blocks are cut from that.

    Args:
        refusal: what our reader said, for a file that libsndfile cannot read either.
    """

    num_missing_samples = 0

    def __init__(self, path: Path, channel: int | None, refusal: str):
        self.name = str(path)
        try:
            import soundfile
        except (ModuleNotFoundError, OSError):  # OSError: without its libsndfile
            raise AudioError(
                f"{refusal}; what is read: {_KINDS} ({how_to_install('audio')})"
            ) from None
        self._error = soundfile.LibsndfileError
        try:
            with _quiet_libraries():
                self._file = soundfile.SoundFile(path)
        except soundfile.LibsndfileError:
            raise AudioError(f"cannot read audio {refusal}; what is read: {_KINDS}") from None
        self.sample_rate_hz, self.num_samples = self._file.samplerate, self._file.frames
        if self.num_samples <= 0:
            raise AudioError(f"{path}: the file holds no samples")
        if channel is not None and not 1 <= channel <= self._file.channels:
            has = self._file.channels
            raise AudioError(
                f"{path}: channel {channel} is not there; it has {has} (the first is 1)"
            )
        self._channel = channel
        self._decoded: Any = ()
        self._num_given = 0  # of these
        self._mix_energy = self._channel_energy = 0.0

    def read(self, num_samples: int) -> Any:
        """At most so many of the next samples, (S,) float32; none after the end."""
        if self._num_given == len(self._decoded):
            with self._told():
                self._decoded = self._file.read(
                    _DECODED_SAMPLES // self._file.channels, dtype="float32", always_2d=True
                )
            self._num_given = 0
        samples = self._decoded[self._num_given : self._num_given + num_samples]
        self._num_given += len(samples)
        if self._channel is not None:
            return samples[:, self._channel - 1].copy()
        mono = samples.mean(axis=1)
        self._mix_energy += float((mono**2).sum())
        self._channel_energy += float((samples**2).sum()) / samples.shape[1]
        return mono

    def skip(self, num_samples: int) -> None:
        """Leave out the first so many samples; nothing has been read."""
        with self._told():
            self._file.seek(min(self._file.frames, self._file.tell() + num_samples))

    @contextmanager
    def _told(self) -> Iterator[None]:
        """Says in our words what libsndfile cannot do."""
        try:
            with _quiet_libraries():
                yield
        except self._error as error:
            raise AudioError(f"cannot read audio {self.name}: it is damaged ({error})") from error

    @property
    def mix_share(self) -> float:
        """As of our reader."""
        return self._mix_energy / self._channel_energy if self._channel_energy > 0 else 1.0


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
