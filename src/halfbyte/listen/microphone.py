"""The microphone as blocks of samples, through PortAudio (extra `listen`)."""

import contextlib
import os
import queue
import sys
from array import array
from collections.abc import Iterator
from types import TracebackType
from typing import Any, Self

from halfbyte.errors import AudioError

BLOCK_MS = 40  # a level meter at 25 Hz moves smoothly
MAX_WAITING_MS = 10_000  # of sound that nobody has taken yet; what comes then is lost, and counted
FULL_SCALE = 32768.0


class Microphone:
    """An open microphone; iterate over it for (S,) float32 blocks of one channel, until `stop`.

    Args:
        device: its number, or a part of its name; the system's choice if not given.
        preferred_rate_hz: taken if the device offers it, else the device's own rate.

    Raises:
        AudioError: no such device, or none at all, or one in use by others.
        ModuleNotFoundError: the package sounddevice is not installed.
    """

    def __init__(self, device: int | str | None = None, preferred_rate_hz: int = 16000):
        sounddevice = _import_sounddevice()
        self.num_blocks_lost = 0
        # Not queue.Queue: its put waits for ever in a signal handler that has interrupted its get.
        self._blocks: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        try:
            with _quiet_libraries():
                about = sounddevice.query_devices(device, "input")
                self.name: str = about["name"]
                self.sample_rate_hz = _rate(sounddevice, device, preferred_rate_hz, about)
                self._stream = sounddevice.RawInputStream(
                    device=device,
                    samplerate=self.sample_rate_hz,
                    blocksize=self.sample_rate_hz * BLOCK_MS // 1000,
                    channels=1,
                    dtype="int16",
                    callback=self._take,
                )
                self._stream.start()
        except (sounddevice.PortAudioError, ValueError) as error:
            raise AudioError(_no_microphone(sounddevice, device, error)) from None

    def __iter__(self) -> Iterator["array[float]"]:
        while (block := self._blocks.get()) is not None:
            yield _floats(block)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def stop(self) -> None:
        """No more blocks after those that wait; may be called in a signal handler."""
        self._blocks.put(None)

    def close(self) -> None:
        """Give the device back."""
        self._stream.close()

    def _take(self, samples: Any, num_frames: int, time: Any, status: Any) -> None:
        """PortAudio's thread brings a block."""
        if self._blocks.qsize() < MAX_WAITING_MS // BLOCK_MS:
            self._blocks.put(bytes(samples))
        else:
            self.num_blocks_lost += 1


def microphones() -> list[tuple[int, str, int]]:
    """Number, name and own rate in Hz of each device that records."""
    sounddevice = _import_sounddevice()
    return [
        (int(device["index"]), str(device["name"]), int(device["default_samplerate"]))
        for device in sounddevice.query_devices()
        if device["max_input_channels"] > 0
    ]


def _import_sounddevice() -> Any:
    try:
        with _quiet_libraries():
            import sounddevice
    except OSError:  # the package without the library
        raise AudioError(
            "the PortAudio library is missing; on Debian: apt install libportaudio2"
        ) from None
    return sounddevice


def _rate(sounddevice: Any, device: int | str | None, preferred_hz: int, about: Any) -> int:
    try:
        sounddevice.check_input_settings(device, 1, "int16", samplerate=preferred_hz)
    except sounddevice.PortAudioError:
        return int(about["default_samplerate"])
    return preferred_hz


def _no_microphone(sounddevice: Any, device: int | str | None, error: Exception) -> str:
    names = ", ".join(f"{number} ({name})" for number, name, _ in microphones())
    if not names:
        return "no microphone was found; plug one in, or transcribe a file: halfbyte transcribe"
    reason = error.args[0] if error.args else error
    wanted = "the microphone" if device is None else f"the microphone {device!r}"
    return f"cannot open {wanted}: {reason}; --device takes one of {names}"


def _floats(block: bytes) -> "array[float]":
    """(S,) int16 in this machine's byte order to (S,) float32 in [-1, 1)."""
    return array("f", [sample / FULL_SCALE for sample in memoryview(block).cast("h")])


@contextlib.contextmanager
def _quiet_libraries() -> Iterator[None]:
    """ALSA and JACK write their searches for devices to file 2, past sys.stderr."""
    sys.stderr.flush()
    kept = os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)
