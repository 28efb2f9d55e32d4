"""A pipeline that lies outside of the engine is built into the C library; its events come out."""

import json
import wave
from pathlib import Path

import numpy as np
import pytest
import soundfile
from capi.c_library import MODEL_FILE, OK, ROOT, Library, run
from toy.conftest import TOY
from toy.loud_frames import STEP_MS, write_model

from halfbyte import Detection, Endpoint, Event, ModelFileError, Recognizer, SpeakerActivity

RATE_HZ = 16000
LOUD_S = [(0.5, 0.9), (1.4, 2.0), (2.3, 2.7)]
WHOLE = 1 << 20


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Path:
    return write_model(tmp_path_factory.mktemp("toy") / "loud.hb")


@pytest.fixture(scope="module")
def samples() -> np.ndarray:
    """Faint noise, three times loud."""
    noise = np.random.default_rng(2).normal(0, 1e-4, 3 * RATE_HZ).astype(np.float32)
    for start_s, end_s in LOUD_S:
        noise[round(start_s * RATE_HZ) : round(end_s * RATE_HZ)] *= 2000
    return noise


def heard(library: Library, model: Path, samples: np.ndarray, size: int) -> list[Event]:
    stream = library.open_stream(library.open_model(model), sample_rate_hz=RATE_HZ, mode=None)
    events = []
    for start in range(0, len(samples), size):
        assert library.accept(stream, samples[start : start + size]) == OK
        events += library.events(stream)
    assert library.c.halfbyte_stream_finish(stream) == OK
    return events + library.events(stream)


def test_detections_and_activity_come_chunk_by_chunk(library, model, samples):
    events = heard(library, model, samples, WHOLE)
    assert events[-1] == Endpoint("finish", 2.98)  # no other: nothing of max_segment_ms
    loud = [e for e in events if isinstance(e, Detection)]
    assert [e.label for e in loud] == ["loud"] * len(LOUD_S)
    someone = [e for e in events if isinstance(e, SpeakerActivity)]
    assert [e.is_active for e in someone] == [True, False] * len(LOUD_S)
    for (start_s, end_s), detection in zip(LOUD_S, loud, strict=True):
        assert start_s - 0.03 <= detection.time_s <= start_s + 0.05
        assert detection.score >= 0.5
        assert any(abs(e.time_s - end_s) < 0.06 for e in someone if not e.is_active)


@pytest.mark.parametrize("size", [160, 997, 8000])
def test_pieces_of_any_size_change_nothing(library, model, samples, size):
    assert heard(library, model, samples, size) == heard(library, model, samples, WHOLE)


def test_the_trained_family_detects_its_tones(library, work):
    """What `halfbyte train` made of the Python half, streamed by the other half."""
    expected, found = [], []
    for line in (work / "train.jsonl").read_text().splitlines():
        entry = json.loads(line)
        samples, _ = soundfile.read(work / entry["audio_filepath"], dtype="float32")
        expected += [(entry["audio_filepath"], one["label"]) for one in entry["intervals"]]
        events = heard(library, work / "toy.hb", samples, 1600)
        assert events == heard(library, work / "toy.hb", samples, WHOLE)
        found += [
            (entry["audio_filepath"], event.label)
            for event in events
            if isinstance(event, Detection)
            and any(
                one["label"] == event.label and abs(event.time_s - one["start"]) < 0.15
                for one in entry["intervals"]
            )
        ]
    assert len(set(found)) > 0.8 * len(set(expected))


def line_of(event: Event) -> str:
    if isinstance(event, Detection):
        return f"detection {round(event.time_s * 1000)} {event.label}"
    if isinstance(event, SpeakerActivity):
        kind = "speaks" if event.is_active else "stops"
        return f"{kind} {round(event.time_s * 1000)} {event.speaker}"
    return f"endpoint {round(event.end_s * 1000)} {event.reason}"


@pytest.mark.parametrize("chunk_ms", [STEP_MS, 8 * STEP_MS, 0])
@pytest.mark.parametrize("block_samples", [997, 8000])
def test_a_stream_handed_on_after_every_block_goes_on(
    library, model, samples, tmp_path, chunk_ms, block_samples
):
    """The states of the graph and of the pipeline are saved and restored exactly."""
    path = tmp_path / "noise.wav"
    codes = np.round(samples * 32768).astype("<i2")
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, RATE_HZ, 0, "NONE", "not compressed"))
        file.writeframes(codes.tobytes())
    expected = heard(library, model, codes.astype(np.float32) / 32768, WHOLE)
    program = TOY / "engine_check"
    done = run(program, "events", model, chunk_ms, block_samples, path)
    assert done.splitlines() == [line_of(event) for event in expected]


def test_our_own_families_are_there_too(library):
    voice = library.open_model(ROOT / "src" / "halfbyte" / "assets" / "en-voice.hb")
    assert library.c.halfbyte_model_mode(voice, 0) == b"rescoring"


def test_a_file_that_lacks_the_graph_of_its_pipeline(library, tmp_path):
    import ctypes

    path = write_model(tmp_path / "other.hb", graph="encoder")
    handle = ctypes.c_void_p()
    assert library.c.halfbyte_model_open(str(path).encode(), ctypes.byref(handle)) == MODEL_FILE
    assert "has no graph 'detector', which the family 'toy.frame_detector' needs" in (
        library.last_error()
    )


def test_a_build_without_the_pipeline_names_the_families_that_it_knows(model):
    said = r"family 'toy\.frame_detector', .* it knows keyword, transducer, u2$"
    with pytest.raises(ModelFileError, match=said):
        Recognizer(model)
