"""Streaming equals offline, whatever the pieces; segments end where they should."""

import resource
from array import array
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
import soxr
from listen.metadata import METADATA, MODES, changed
from listen.streams import SHORT_PAUSE, NotingModel, feed, finals, noting_stream, words
from tones import LEAD_S, WORD_S, recording, silence
from train.corpus import RATE_HZ

from halfbyte import AudioError, Endpoint, EndpointRule, Stream, StreamOptions, Text, UsageError
from halfbyte.listen.settings import read_settings

SENTENCE = "low high mid"
CHUNKS_MS = [0, 40, 120, 320]  # full context, one step, three, the longest
PRIME = 997
WHOLE = 1 << 30
LEAST_SAMPLES = 400  # a frame, with room around it
ROOM_FRAMES = 20


@pytest.fixture(scope="module")
def sentence() -> np.ndarray:
    return recording(SENTENCE, pause_s=0.9)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("chunk_ms", CHUNKS_MS)
def test_pieces_of_any_size_change_no_bit(recognizer, sentence, chunk_ms, mode):
    options = StreamOptions(chunk_ms, mode, SHORT_PAUSE)
    stream, noted = noting_stream(recognizer, options)
    expected = feed(stream, sentence, WHOLE)
    assert len(finals(expected)) > 1  # several segments, or the test would show little
    sizes = [160, PRIME] + [1] * (mode == "rescoring")
    for num_samples in sizes:
        stream, model = noting_stream(recognizer, options)
        assert feed(stream, sentence, num_samples) == expected
        assert model.outputs == noted.outputs


@pytest.mark.parametrize("mode", ["rescoring", "prefix_beam", "greedy"])
@pytest.mark.parametrize("chunk_ms", [0, 320])
@pytest.mark.parametrize("text", ["low", "mid high", "high high low mid low"])
def test_words_with_pauses_are_heard(recognizer, text, chunk_ms, mode):
    stream = recognizer.stream(StreamOptions(chunk_ms, mode))
    assert words(feed(stream, recording(text, pause_s=0.3), 1600)) == text


def test_a_chunk_of_its_own_choice_is_the_files(recognizer, sentence):
    own, explicit = recognizer.stream(), recognizer.stream(StreamOptions(chunk_ms=320))
    assert feed(own, sentence, WHOLE) == feed(explicit, sentence, WHOLE)


def test_full_context_sees_what_follows(recognizer, sentence):
    """Or full context would be nothing but the chunks."""
    noted = []
    for chunk_ms in (0, 320):
        whole_segment = EndpointRule(trailing_silence_ms=None)
        stream, model = noting_stream(
            recognizer, StreamOptions(chunk_ms, "rescoring", whole_segment)
        )
        feed(stream, sentence, WHOLE)
        noted.append(model.outputs)
    chunked = noted[1]
    assert noted[0][: len(chunked)] == chunked  # partial results come from the same chunks
    again = np.frombuffer(noted[0][len(chunked)], np.float32)
    first_pass = np.frombuffer(b"".join(chunked[::2]), np.float32)  # without log-probabilities
    assert again.size == first_pass.size
    assert not np.array_equal(again, first_pass)


@pytest.mark.parametrize("rate_hz", [8000, 44100])
def test_other_sample_rates(recognizer, sentence, rate_hz):
    resampled = soxr.resample(sentence, RATE_HZ, rate_hz).astype(np.float32)
    noted = []
    for num_samples in (WHOLE, 1, 160, PRIME):
        stream, model = noting_stream(
            recognizer, StreamOptions(120, "rescoring", sample_rate_hz=rate_hz)
        )
        events = feed(stream, resampled, num_samples)
        assert words(events) == SENTENCE
        noted.append((events, model.outputs))
    assert all(other == noted[0] for other in noted)
    assert finals(noted[0][0])[-1].end_s == pytest.approx(len(sentence) / RATE_HZ, abs=0.1)


def test_partial_results_are_news(recognizer, sentence):
    """No partial repeats the one before, and none comes without a final to settle it."""
    events = feed(recognizer.stream(StreamOptions(40, endpoint=SHORT_PAUSE)), sentence, WHOLE)
    before = ""
    texts = [event for event in events if isinstance(event, Text)]
    for event in texts:
        assert event.is_final or event.text != before
        before = "" if event.is_final else event.text
    assert texts[-1].is_final
    assert sum(not event.is_final for event in texts) >= 3


def test_a_pause_after_words_ends_a_segment(recognizer):
    samples = recording("low high", pause_s=1.5)
    events = recognizer.stream(StreamOptions(120)).accept(samples)
    ended = finals(events)
    assert [event.text for event in ended] == ["low", "high"]
    for event in ended:
        waited_s = event.end_s - event.words[-1].end_s
        assert 0.5 <= waited_s <= 0.8 + 0.12 + 0.3  # from the peak of the last token
    assert ended[0].end_s == ended[1].start_s


def test_without_words_silence_ends_nothing(recognizer):
    samples = silence(6.0, np.random.default_rng(2))
    assert recognizer.stream(StreamOptions(120)).accept(samples) == []


def test_no_silence_rule(recognizer):
    samples = recording("low high", pause_s=1.5)
    stream = recognizer.stream(StreamOptions(120, endpoint=EndpointRule(trailing_silence_ms=None)))
    assert finals(stream.accept(samples)) == []
    assert [event.text for event in finals(stream.finish())] == ["low high"]


@pytest.mark.parametrize("chunk_ms", [0, 120])
def test_a_segment_has_a_longest(recognizer, chunk_ms):
    model = noting_stream(recognizer)[1]
    model.settings = read_settings(changed({"streaming.max_segment_ms": 3000}))
    stream = Stream(model, StreamOptions(chunk_ms, endpoint=EndpointRule(trailing_silence_ms=None)))
    samples = recording("low mid high low mid high low mid high low mid high low")
    events = finals(feed(stream, samples, 1600))
    longest_s = 3.0 + (chunk_ms or 320) / 1000
    lengths_s = [e.end_s - e.start_s for e in events]
    lengths_s[0] += 0.1  # the room that it begins in
    assert [3.0 <= length_s < longest_s for length_s in lengths_s] == [True, True, False]
    assert [e.start_s for e in events[1:]] == [e.end_s for e in events[:-1]]
    assert len(words(events).split()) in (13, 14, 15)  # a word may be cut in two


def shifted(event: Text, by_s: float) -> Text:
    def later(time_s: float) -> float:
        return round(time_s + by_s, 3)

    moved = [replace(w, start_s=later(w.start_s), end_s=later(w.end_s)) for w in event.words]
    return replace(event, start_s=later(event.start_s), end_s=later(event.end_s), words=moved)


@pytest.mark.parametrize("chunk_ms", [0, 200])
def test_a_segment_is_a_stream_of_its_own_with_later_times(recognizer, chunk_ms):
    """After a pause of zeros it begins in room, as a stream does."""
    pause = np.zeros(round(1.2 * RATE_HZ), np.float32)
    samples = np.concatenate([p for text in SENTENCE.split() for p in (recording(text), pause)])
    events = finals(feed(recognizer.stream(StreamOptions(chunk_ms)), samples, WHOLE))
    assert words(events) == SENTENCE
    for event in events:
        alone = recognizer.stream(StreamOptions(chunk_ms))
        first = finals(alone.accept(samples[round(event.start_s * RATE_HZ) :]))[0]
        assert shifted(first, event.start_s) == event


def resident_bytes() -> int:
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * resource.getpagesize()


def test_minutes_cost_the_memory_of_seconds(recognizer):
    """Two words every three seconds, for a quarter of an hour."""
    period = np.concatenate([recording("low high"), silence(2.0, np.random.default_rng(3))])
    period_s = len(period) / RATE_HZ
    stream = recognizer.stream(StreamOptions(chunk_ms=320, mode="rescoring"))
    num_periods = int(900 / period_s)
    heard, resident, saved = [], [], []
    for i in range(num_periods):
        heard += [word for event in finals(stream.accept(period)) for word in event.words]
        if i in (num_periods // 6, num_periods - 1):
            resident.append(resident_bytes())
            saved.append(len(stream.save()))
    assert resident[1] - resident[0] < 1_000_000
    assert saved[1] < 2 * saved[0]
    assert [w.text for w in heard[:-2]] == ["low", "high"] * (len(heard) // 2 - 1)
    assert len(heard) >= 2 * num_periods - 2
    for i, word in enumerate(heard):
        spoken_s = i // 2 * period_s + LEAD_S + i % 2 * WORD_S
        assert spoken_s - 0.1 < word.start_s < word.end_s < spoken_s + WORD_S + 0.5


def test_finish_ends_the_stream(recognizer, sentence):
    stream = recognizer.stream(StreamOptions(120))
    feed(stream, sentence, WHOLE)
    assert stream.finish() == []
    with pytest.raises(UsageError, match="the stream is finished"):
        stream.accept(sentence)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("chunk_ms", [0, 40, 320])
@pytest.mark.parametrize("num_samples", [0, 1, LEAST_SAMPLES - 1])
def test_less_than_a_frame_says_nothing(recognizer, num_samples, chunk_ms, mode):
    stream = recognizer.stream(StreamOptions(chunk_ms, mode))
    assert stream.accept(recording("low")[:num_samples]) == []
    assert stream.finish() == []


def num_steps(model: NotingModel) -> int:
    """Steps that the encoder has computed."""
    return sum(map(len, model.outputs[1::2])) // (4 * len(METADATA["tokens"]))


@pytest.mark.parametrize("chunk_ms", [0, 40, 320])
def test_the_shortest_audio_that_counts(recognizer, chunk_ms):
    stream, model = noting_stream(recognizer, StreamOptions(chunk_ms))
    end, final = feed(stream, recording("low")[:LEAST_SAMPLES], WHOLE)
    assert end == Endpoint("finish", 0.025)
    assert (final.text, final.is_final, final.start_s, final.end_s) == ("", True, 0.0, 0.025)
    assert num_steps(model) == (2 if chunk_ms == 0 else 1) * ((ROOM_FRAMES + 1 - 3) // 4)


def test_the_last_samples_count_at_another_rate_too(recognizer):
    """What the resampler holds back until the end makes the difference between a frame and none."""
    samples = recording("low")[: LEAST_SAMPLES // 2]
    assert (
        len(finals(feed(recognizer.stream(StreamOptions(sample_rate_hz=8000)), samples, WHOLE)))
        == 1
    )
    assert feed(recognizer.stream(StreamOptions(sample_rate_hz=8000)), samples[:-1], WHOLE) == []


def test_the_last_steps_count_too(recognizer):
    """All steps that the frames give are encoded, whatever is left after the last chunk."""
    for num_frames in range(40, 60):
        samples = recording("low high")[: 400 + 160 * (num_frames - 1)]
        stream, model = noting_stream(recognizer, StreamOptions(320))
        (event,) = finals(feed(stream, samples, WHOLE))
        assert num_steps(model) == (num_frames + ROOM_FRAMES - 3) // 4
        assert event.end_s == len(samples) * 1000 // RATE_HZ / 1000


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("rate_hz", [RATE_HZ, 8000])
def test_samples_that_are_not_finite_are_refused_and_forgotten(recognizer, sentence, bad, rate_hz):
    damaged = sentence[:500].copy()
    damaged[300] = bad
    stream = recognizer.stream(StreamOptions(120, sample_rate_hz=rate_hz))
    events = stream.accept(sentence[:9000])
    with pytest.raises(AudioError, match="NaN or infinite"):
        stream.accept(damaged)
    events += stream.accept(sentence[9000:]) + stream.finish()
    untroubled = recognizer.stream(StreamOptions(120, sample_rate_hz=rate_hz))
    assert events == feed(untroubled, sentence, WHOLE)


@pytest.mark.parametrize(
    "samples",
    [
        [0.0, 0.1],
        b"\0\0\0\0",
        np.zeros(100, np.int32),
        np.zeros(100, np.float16),
        np.zeros((100, 2), np.int16),
        np.zeros((2, 100), np.float32),
        np.float32(0),
        None,
        "audio.wav",
    ],
    ids=["list", "bytes", "int32", "float16", "stereo", "2-D", "scalar", "None", "str"],
)
def test_what_is_no_samples_is_refused_in_one_line(recognizer, samples):
    stream = recognizer.stream()
    with pytest.raises(UsageError, match=r"expected (a buffer of )?float32") as caught:
        stream.accept(samples)
    assert "\n" not in str(caught.value)
    if isinstance(samples, np.ndarray):
        assert f"{samples.dtype} of shape {samples.shape};" in str(caught.value)
    assert finals(stream.finish()) == []


CODES = np.round(recording(SENTENCE) * 32767).astype(np.int16)


@pytest.mark.parametrize(
    "given",
    [
        CODES,
        array("h", CODES.tobytes()),
        CODES / 32768,
        (CODES / 32768).astype(np.float32)[:, None],
        np.stack([CODES, np.flip(CODES)], axis=1)[:, 0],
        np.stack([CODES, np.flip(CODES)], axis=1)[:, :1] / 32768,
        np.frombuffer(CODES.tobytes(), np.int16),
    ],
    ids=["int16", "array", "float64", "(S, 1)", "a column", "a column of float64", "read-only"],
)
def test_samples_as_people_have_them(recognizer, given):
    """What soundfile and sounddevice give, and parts of it, is heard as float32 in [-1, 1)."""
    plain = (CODES / 32768).astype(np.float32)
    assert feed(recognizer.stream(), given, 5000) == feed(recognizer.stream(), plain, 5000)


@pytest.mark.parametrize("rate_hz", [RATE_HZ, 44100])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_floats_of_int16_size_are_refused_and_forgotten(recognizer, rate_hz, dtype):
    stream = recognizer.stream(sample_rate_hz=rate_hz)
    with pytest.raises(AudioError, match=r"as large as \d+\..*int16 size by 32768"):
        stream.accept(CODES.astype(dtype))
    samples = (CODES / 32768).astype(dtype)
    assert feed(stream, samples, WHOLE) == feed(
        recognizer.stream(sample_rate_hz=rate_hz), samples, WHOLE
    )


def test_samples_beyond_full_scale_are_heard(recognizer, sentence):
    assert words(feed(recognizer.stream(), 4 * sentence / np.abs(sentence).max(), WHOLE))


@pytest.mark.parametrize("number", [np.int64, np.int32, np.uint16])
def test_numbers_as_numpy_has_them(recognizer, sentence, number):
    endpoint = EndpointRule(number(800), number(20_000))
    stream = recognizer.stream(
        chunk_ms=number(120), endpoint=endpoint, sample_rate_hz=number(16000), num_best=number(2)
    )
    stream.restore(stream.save())
    assert feed(stream, sentence, WHOLE) == feed(
        recognizer.stream(chunk_ms=120, num_best=2), sentence, WHOLE
    )


def test_single_options_go_before_those_of_an_object(recognizer):
    stream = recognizer.stream(StreamOptions(120, "greedy"), mode="prefix_beam")
    assert (stream.core.options.mode, stream.core.chunk_steps) == ("prefix_beam", 3)


def test_any_event_says_whether_it_is_final(recognizer, sentence):
    events = feed(recognizer.stream(), sentence, WHOLE)
    assert [event for event in events if event.is_final] == finals(events)


@pytest.mark.parametrize(
    "arguments",
    [
        {"chunk_ms": 50},
        {"chunk_ms": 360},
        {"chunk_ms": -40},
        {"mode": "beam"},
        {"sample_rate_hz": 0},
        {"sample_rate_hz": 16000.0},
        {"sample_rate_hz": True},
        {"chunk_ms": 2**40},
        {"chunk_ms": 2**64},
        {"sample_rate_hz": 2**40},
        {"sample_rate_hz": -(2**40)},
        {"num_best": 2**40},
        {"num_best": 0},
        {"endpoint": EndpointRule(-1)},
        {"endpoint": EndpointRule(-2)},
        {"endpoint": EndpointRule(2**40)},
        {"endpoint": EndpointRule(2**70)},
        {"endpoint": EndpointRule(800, 2**40)},
        {"endpoint": EndpointRule(60_001)},
        {"endpoint": EndpointRule(800, 0)},
        {"num_best": 1001},
    ],
    ids=str,
)
def test_settings_that_the_model_does_not_offer(recognizer, arguments):
    with pytest.raises((UsageError, AudioError)) as caught:
        recognizer.stream(StreamOptions(**arguments))
    assert "\n" not in str(caught.value)
    name, value = next(iter(arguments.items()))
    if isinstance(value, EndpointRule):
        name, value = next(item for item in vars(value).items() if item[1] not in (800, None))
        assert name in str(caught.value)
    assert str(value) in str(caught.value), name


def test_sixteen_streams_at_once_are_as_good_as_alone(recognizer):
    tasks = [(CHUNKS_MS[i % 4], MODES[i // 4], recording(SENTENCE, 0.9, seed=i)) for i in range(16)]

    def run(task):
        chunk_ms, mode, samples = task
        stream, model = noting_stream(recognizer, StreamOptions(chunk_ms, mode, SHORT_PAUSE))
        return feed(stream, samples, 800), model.outputs

    alone = [run(task) for task in tasks]
    with ThreadPoolExecutor(16) as pool:
        together = list(pool.map(run, tasks * 2))
    assert together == alone * 2


def test_feature_settings_are_the_models(recognizer, sentence):
    """A model of another frame shift gets its frames at that shift."""
    slow_stream, slow_model = noting_stream(recognizer)
    slow_model.settings = read_settings(
        changed({"features.frame_shift_ms": 20, "features.frame_length_ms": 40})
    )
    slow_stream = Stream(slow_model, StreamOptions(640))
    feed(slow_stream, sentence, WHOLE)
    num_frames = (len(sentence) + 1600 - 640) // 320 + 1 + ROOM_FRAMES // 4
    first_chunk_again = 8  # in pieces, for the times of its words
    assert num_steps(slow_model) == (num_frames - 3) // 4 + first_chunk_again


@pytest.mark.parametrize("mode", MODES)
def test_alternatives_follow_the_likeliest_text(recognizer, mode):
    samples = recording(SENTENCE)
    (one,) = finals(feed(recognizer.stream(StreamOptions(mode=mode)), samples, 8000))
    (several,) = finals(
        feed(recognizer.stream(StreamOptions(mode=mode, num_best=4)), samples, 8000)
    )
    assert (several.text, several.words) == (one.text, one.words)
    assert one.alternatives == []
    assert (several.alternatives == []) == (mode == "greedy")
    assert len(several.alternatives) <= 3
    assert len({several.text, *several.alternatives}) == len(several.alternatives) + 1


@pytest.mark.parametrize("num_best", [0, -1, True, 1.5])
def test_a_number_of_alternatives_that_is_none_is_refused(recognizer, num_best):
    with pytest.raises(UsageError, match="num_best"):
        recognizer.stream(StreamOptions(num_best=num_best))
