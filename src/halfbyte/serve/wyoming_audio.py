"""Audio of Wyoming clients, of any width and number of channels, as s16le of one channel."""

import array
import sys
from dataclasses import dataclass
from typing import Any

from halfbyte.serve.refusals import RefusedError
from halfbyte.serve.settings import HIGHEST_RATE_HZ, LOWEST_RATE_HZ

_RANGES = {  # key of an event -> least, most, and what holds where it is missing
    "rate": (LOWEST_RATE_HZ, HIGHEST_RATE_HZ, None),
    "width": (1, 4, 2),
    "channels": (1, 64, 1),
}


@dataclass(frozen=True)
class AudioForm:
    """How audio is laid out: `width` bytes a sample, little-endian, unsigned if it is one byte.

    Attributes:
        rate: samples a second.
        width: bytes of a sample.
        channels: interleaved.
    """

    rate: int
    width: int
    channels: int

    def to_s16(self, audio: bytes) -> bytes:
        """The upper 16 bits of each sample, the mean of the channels.

        Raises:
            RefusedError: a cut sample.

        >>> AudioForm(16000, 3, 2).to_s16(bytes([9, 4, 0, 9, 8, 0])).hex(" ")
        '06 00'
        """
        frame_bytes = self.width * self.channels
        if len(audio) % frame_bytes:
            raise RefusedError(
                "bad_audio",
                f"audio has {len(audio)} bytes; expected a multiple of {frame_bytes}: "
                f"{self.channels} samples of {self.width} bytes",
            )
        samples = _upper_16_bits(audio, self.width)
        return samples if self.channels == 1 else _mean(samples, self.channels)


def form_of(event: dict[str, Any]) -> AudioForm:
    """How the audio of an `audio-start` or an `audio-chunk` is laid out.

    Raises:
        RefusedError: a number out of range.
    """
    values = []
    for name, (least, most, usual) in _RANGES.items():
        value = event.get(name, usual)
        if type(value) is not int or not least <= value <= most:
            raise RefusedError(
                "bad_audio", f"{name} is {str(value)[:20]}; expected {least} to {most}"
            )
        values.append(value)
    return AudioForm(*values)


def _upper_16_bits(audio: bytes, width: int) -> bytes:
    if width == 2:
        return audio
    samples = bytearray(2 * (len(audio) // width))
    if width == 1:  # 0x80 is zero
        samples[1::2] = audio.translate(bytes((code + 0x80) % 0x100 for code in range(0x100)))
    else:
        samples[0::2] = audio[width - 2 :: width]
        samples[1::2] = audio[width - 1 :: width]
    return bytes(samples)


def _mean(samples: bytes, channels: int) -> bytes:
    codes = array.array("h", samples)
    if sys.byteorder == "big":
        codes.byteswap()
    sums = map(sum, zip(*(codes[i::channels] for i in range(channels)), strict=True))
    means = array.array("h", (total // channels for total in sums))
    if sys.byteorder == "big":
        means.byteswap()
    return means.tobytes()
