"""The recogniser: a model file and the streams that run on it."""

import os
from dataclasses import replace
from importlib import resources
from pathlib import Path
from typing import Any

from halfbyte.audio_file import AudioFile
from halfbyte.engine import ModelFile
from halfbyte.listen.acoustic_model import AcousticModel
from halfbyte.listen.engine_model import EngineModel
from halfbyte.listen.events import Text, finals
from halfbyte.listen.options import FULL_CONTEXT_MS, StreamOptions
from halfbyte.listen.stream import Stream


def default_model() -> Path:
    """The .hb file that comes with the package."""
    return Path(str(resources.files("halfbyte") / "assets" / "en-voice.hb"))


class Recognizer:
    """Speech recognition with one model; streams on it are independent of each other.

    It can be copied and pickled, for worker processes, which open the model file themselves.

    Args:
        model: path of a .hb file; the one that comes with the package if not given. Anything
            else that keeps the protocol of AcousticModel may stand in.

    Raises:
        ModelFileError: missing, damaged, of another version, or not a recogniser.

    """

    def __init__(self, model: str | os.PathLike[str] | AcousticModel | None = None):
        if model is None or isinstance(model, str | os.PathLike):
            self.model: AcousticModel = EngineModel(ModelFile(Path(model or default_model())))
        else:
            self.model = model

    def stream(self, options: StreamOptions | None = None, **changes: Any) -> Stream:
        """Start a stream; see Stream for the errors.

        Args:
            options: the default ones if not given.
            changes: single options instead of those of `options`, such as `chunk_ms=320`.
        """
        return Stream(self.model, replace(options or StreamOptions(), **changes))

    def transcribe(
        self,
        audio: str | os.PathLike[str],
        options: StreamOptions | int | None = None,
        channel: int | None = None,
    ) -> list[Text]:
        """Final results of an audio file, segment by segment.

        Args:
            audio: the file.
            options: those of the stream, or `chunk_ms` alone, such as 320; full context if not
                given. The sample rate is the file's.
            channel: the one to hear, counted from 1; the mean of all if not given.

        Raises:
            AudioError: the file cannot be read as audio.
        """
        file = AudioFile(audio, channel)
        if not isinstance(options, StreamOptions):
            options = StreamOptions(chunk_ms=FULL_CONTEXT_MS if options is None else options)
        stream = self.stream(options, sample_rate_hz=file.sample_rate_hz)
        events = [event for block in file for event in stream.accept(block)]
        return finals(events + stream.finish())
