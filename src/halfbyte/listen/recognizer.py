"""The recogniser: a model file and the streams that run on it."""

import os
from importlib import resources
from pathlib import Path

from halfbyte.engine import ModelFile
from halfbyte.listen.acoustic_model import AcousticModel
from halfbyte.listen.audio_file import AudioFile
from halfbyte.listen.endpoint import EndpointRule
from halfbyte.listen.engine_model import EngineModel
from halfbyte.listen.events import Event
from halfbyte.listen.settings import FULL_CONTEXT_MS
from halfbyte.listen.stream import Stream


def default_model() -> Path:
    """The .hb file that comes with the package."""
    return Path(str(resources.files("halfbyte") / "assets" / "en-voice.hb"))


class Recognizer:
    """Speech recognition with one model; streams on it are independent of each other.

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

    def stream(
        self,
        chunk_ms: int | None = None,
        mode: str = "rescoring",
        endpoint: EndpointRule | None = None,
        sample_rate_hz: int = 16000,
        num_best: int = 1,
    ) -> Stream:
        """Start a stream; see Stream for the arguments."""
        return Stream(self.model, chunk_ms, mode, endpoint, sample_rate_hz, num_best)

    def transcribe(
        self,
        audio: str | os.PathLike[str],
        chunk_ms: int | None = FULL_CONTEXT_MS,
        mode: str = "rescoring",
        endpoint: EndpointRule | None = None,
    ) -> list[Event]:
        """Final results of an audio file, segment by segment.

        Raises:
            AudioError: the file cannot be read as audio.
        """
        file = AudioFile(audio)
        stream = self.stream(chunk_ms, mode, endpoint, file.sample_rate_hz)
        finals = [event for block in file for event in stream.accept(block) if event.is_final]
        return finals + [event for event in stream.finish() if event.is_final]
