"""The included model at an open microphone: it hears a word after seconds of background."""

from pathlib import Path

import numpy as np
import pytest

import halfbyte
from halfbyte import Recognizer, StreamOptions, finals
from halfbyte.audio_file import AudioFile
from halfbyte.listen.transcript import as_text

MODEL = Path(halfbyte.__file__).parent / "assets" / "en-voice.hb"
RATE_HZ = 16000
SPEECH = np.concatenate(
    list(AudioFile(Path(__file__).parents[1] / "data" / "wuw2_WUWII00000_001.wav"))
)


@pytest.fixture(scope="module")
def included() -> Recognizer:
    return Recognizer(MODEL)


def words_of(recognizer: Recognizer, samples: np.ndarray) -> str:
    stream = recognizer.stream(StreamOptions(chunk_ms=640))
    events = stream.accept(samples) + stream.finish()
    return as_text(finals(events))


@pytest.mark.parametrize("seconds", [2, 5, 8])
@pytest.mark.parametrize("level_db", [-70, -55])
def test_words_are_heard_after_background(included, seconds, level_db):
    random = np.random.default_rng(seconds)
    noise = random.standard_normal(seconds * RATE_HZ) * 10 ** (level_db / 20)
    heard = words_of(included, np.concatenate([noise.astype(np.float32), SPEECH]))
    assert heard == words_of(included, SPEECH) == "operator"
