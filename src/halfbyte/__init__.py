"""Streaming speech recognition in half a byte per weight.

>>> import halfbyte
>>> recognizer = halfbyte.Recognizer()           # the model that comes with the package
>>> stream = recognizer.stream()                 # 16 kHz, one channel, float32
"""

from halfbyte.errors import (
    AudioError,
    ConfigError,
    HalfbyteError,
    InputError,
    ManifestError,
    ModelFileError,
    UsageError,
)
from halfbyte.listen.events import (
    Detection,
    Endpoint,
    Event,
    ScoredText,
    Slot,
    SpeakerActivity,
    Text,
    Word,
    finals,
)
from halfbyte.listen.grammar import Grammar
from halfbyte.listen.microphone import Microphone
from halfbyte.listen.options import EndpointRule, StreamOptions
from halfbyte.listen.recognizer import Recognizer
from halfbyte.listen.stream import Stream

__version__ = "0.1.0"

__all__ = [
    "AudioError",
    "ConfigError",
    "Detection",
    "Endpoint",
    "EndpointRule",
    "Event",
    "Grammar",
    "HalfbyteError",
    "InputError",
    "ManifestError",
    "Microphone",
    "ModelFileError",
    "Recognizer",
    "ScoredText",
    "Slot",
    "SpeakerActivity",
    "Stream",
    "StreamOptions",
    "Text",
    "UsageError",
    "Word",
    "__version__",
    "finals",
]
