"""The C library says what the Python package says, event by event, and refuses what it refuses."""

import ctypes
import re
import subprocess
from array import array
from threading import Thread

import pytest
from capi.c_library import AUDIO, MODEL_FILE, OK, PROGRAM, ROOT, USAGE, Library, build
from hostile.models import SECTIONS, with_sections
from listen.metadata import MODES
from paths import TONES
from tones import recording

from halfbyte import EndpointRule, ModelFileError, Recognizer, Slot, StreamOptions, finals
from halfbyte.listen.transcript import as_text

VOICE = ROOT / "src" / "halfbyte" / "assets" / "en-voice.hb"
RECORDINGS = [*sorted((ROOT / "tests" / "data").glob("*.wav")), VOICE.parent / "demo.wav"]
SENTENCE = recording("low high mid", pause_s=0.9)


@pytest.fixture(scope="module")
def library() -> Library:
    build()
    return Library()


@pytest.fixture(scope="module")
def model(library) -> ctypes.c_void_p:
    return library.open_model(TONES)


def test_the_program_says_what_the_command_line_says(library):
    for path in RECORDINGS:
        for chunk_ms in (0, 320):
            command = [PROGRAM, VOICE, path, str(chunk_ms)]
            done = subprocess.run(command, capture_output=True, text=True, check=True)
            finals = Recognizer(VOICE).transcribe(path, StreamOptions(chunk_ms))
            assert done.stdout == as_text(finals) + "\n"


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("chunk_ms", [0, 120, 320])
@pytest.mark.parametrize("rate_hz", [16000, 44100])
def test_every_event_is_that_of_the_package(library, model, rate_hz, chunk_ms, mode):
    expected = Recognizer(TONES).stream(
        StreamOptions(chunk_ms, mode, EndpointRule(300), rate_hz, 3)
    )
    stream = library.open_stream(
        model,
        chunk_ms=chunk_ms,
        mode=mode.encode(),
        trailing_silence_ms=300,
        sample_rate_hz=rate_hz,
        num_best=3,
    )
    for start in range(0, len(SENTENCE), 7001):
        piece = SENTENCE[start : start + 7001]
        assert library.accept(stream, piece) == OK
        assert library.events(stream) == expected.accept(piece)
    assert library.c.halfbyte_stream_finish(stream) == OK
    last = library.events(stream)
    assert last == expected.finish()
    assert last[-1] in finals(last)
    library.c.halfbyte_stream_close(stream)


def test_a_grammar_with_slots(library, model):
    grammar = "#JSGF V1.0;\npublic <said> = <level>+;\n<level> = low | mid | high;\n"
    expected = Recognizer(TONES).stream(grammar=grammar)
    stream, c = library.open_stream(model), library.c
    assert c.halfbyte_stream_set_grammar(stream, b"levels.jsgf", grammar.encode()) == OK
    assert c.halfbyte_stream_set_grammar(stream, b"home.txt", b"low\ntide") == USAGE
    assert library.last_error().startswith("home.txt:2: the word 'tide' cannot be spelled")
    assert c.halfbyte_stream_set_grammar(stream, None, b"low") == USAGE
    assert library.accept(stream, SENTENCE) == OK
    assert c.halfbyte_stream_finish(stream) == OK
    found = library.events(stream)
    assert found == expected.accept(SENTENCE) + expected.finish()
    assert finals(found)[0].slots[:2] == [Slot("said", "low"), Slot("level", "low")]
    assert c.halfbyte_stream_set_grammar(stream, None, None) == OK
    c.halfbyte_stream_close(stream)


def test_a_stream_outlives_the_handle_of_its_model(library):
    model = library.open_model(TONES)
    stream = library.open_stream(model)
    library.c.halfbyte_model_close(model)
    assert library.accept(stream, SENTENCE) == OK
    assert library.c.halfbyte_stream_finish(stream) == OK
    assert finals(library.events(stream))
    assert library.accept(stream, SENTENCE) == USAGE
    assert "finished" in library.last_error()
    library.c.halfbyte_stream_close(stream)


def test_what_is_refused_is_a_status_and_one_line(library, model, tmp_path):
    c, handle = library.c, ctypes.c_void_p()
    path = tmp_path / "no.hb"
    assert c.halfbyte_model_open(str(path).encode(), ctypes.byref(handle)) == MODEL_FILE
    assert str(path) in library.last_error()
    assert "\n" not in library.last_error()
    assert c.halfbyte_wav_open(str(path).encode(), ctypes.byref(handle)) == AUDIO
    options = c.halfbyte_default_options()
    options.chunk_ms = 7
    arguments = (model, ctypes.byref(options), ctypes.byref(handle))
    assert c.halfbyte_stream_open(*arguments) == USAGE
    assert "chunk_ms is 7;" in library.last_error()
    options.chunk_ms, options.mode = 0, b"best"
    assert c.halfbyte_stream_open(*arguments) == USAGE
    assert "best" in library.last_error()
    options.mode, options.sample_rate_hz = b"greedy", 1
    assert c.halfbyte_stream_open(*arguments) == AUDIO
    options.sample_rate_hz, options.trailing_silence_ms = 16000, -2
    assert c.halfbyte_stream_open(*arguments) == USAGE
    assert "trailing_silence_ms is -2; expected 0 to 60000" in library.last_error()
    assert handle.value is None


@pytest.mark.parametrize(
    ("decoder", "refusal"),
    [
        (None, "has no graph 'decoder', which the family 'u2' needs; compile it again"),
        (SECTIONS["graph:encoder"], "graph 'decoder' takes no int64 'tokens' of 2 axes, as the"),
    ],
    ids=["missing", "another encoder"],
)
def test_a_file_of_other_graphs_is_refused_when_it_is_opened(library, tmp_path, decoder, refusal):
    path = tmp_path / "other.hb"
    path.write_bytes(with_sections(decoder=decoder))
    handle = ctypes.c_void_p()
    opened = library.c.halfbyte_model_open(str(path).encode(), ctypes.byref(handle))
    assert opened == MODEL_FILE
    assert library.last_error().startswith(f"{path}: {refusal}")
    with pytest.raises(ModelFileError, match=re.escape(library.last_error())):
        Recognizer(path)


def test_null_is_refused_or_does_nothing(library, model):
    c = library.c
    assert c.halfbyte_model_open(None, None) == USAGE
    assert c.halfbyte_stream_open(None, None, None) == USAGE
    assert c.halfbyte_stream_open(model, None, None) == USAGE
    assert c.halfbyte_stream_accept(None, None, ctypes.c_size_t(1)) == USAGE
    assert c.halfbyte_wav_read(None, None, ctypes.c_size_t(1), None) == USAGE
    for name in ("model", "stream", "wav"):
        getattr(c, f"halfbyte_{name}_close")(None)
    assert c.halfbyte_stream_next_event(None, None) == 0
    assert c.halfbyte_model_sample_rate_hz(model) == 16000


def test_samples_that_are_none_are_refused_and_leave_the_stream_as_it_was(library, model):
    stream = library.open_stream(model)
    assert library.accept(stream, array("f", [0.0, float("nan")])) == AUDIO
    assert library.accept(stream, SENTENCE) == OK
    library.c.halfbyte_stream_finish(stream)
    other = library.open_stream(model)
    library.accept(other, SENTENCE)
    library.c.halfbyte_stream_finish(other)
    assert library.events(stream) == library.events(other)


def test_the_program_refuses_in_one_line(library, tmp_path):
    done = subprocess.run(
        [PROGRAM, VOICE, tmp_path / "no.wav"], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("transcribe: ")
    assert done.stderr.count("\n") == 1


def test_a_second_thread_on_a_stream_is_refused_and_changes_nothing(library, model):
    stream, alone = library.open_stream(model), library.open_stream(model)
    long = array("f", list(SENTENCE) * 10)
    worker = Thread(target=library.accept, args=(stream, long))
    worker.start()
    refused, taken = 0, []
    while worker.is_alive():
        taken += library.events(stream)  # none while the other thread is at work
        if library.accept(stream, array("f")) == USAGE:
            refused += 1
            assert "at work in another thread" in library.last_error()
    worker.join()
    library.accept(alone, long)
    for each in (stream, alone):
        assert library.c.halfbyte_stream_finish(each) == OK
    assert refused > 0
    assert taken + library.events(stream) == library.events(alone)
    for each in (stream, alone):
        library.c.halfbyte_stream_close(each)


def test_floats_of_int16_size_are_refused(library, model):
    stream = library.open_stream(model)
    assert library.accept(stream, array("f", [32768 * x for x in SENTENCE])) == AUDIO
    assert "int16 size" in library.last_error()
    library.c.halfbyte_stream_close(stream)
