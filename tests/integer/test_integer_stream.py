"""A trained integer-only model as a stream: threads and batches do not change its bits."""

import numpy as np
import pytest
from isas import ISAS
from paths import GOLDEN
from tones import recording

from halfbyte.engine import ModelFile, Session, State
from halfbyte.listen.events import finals
from halfbyte.listen.options import StreamOptions
from halfbyte.listen.recognizer import Recognizer

INTEGER_ONLY = GOLDEN / "tones-integer.hb"
WINDOWS = [(8, 0), (4, 0), (8, 0), (70, 0), (3, 2)]  # encoder steps, frames more
RATE, OVERLAP = 8, 7


def features(steps, extra, seed):
    random = np.random.default_rng(seed)
    shape = (1, steps * RATE + OVERLAP + extra, 80)
    return random.normal(12.0, 3.0, shape).astype(np.float32)


@pytest.fixture(scope="module")
def file():
    return ModelFile(INTEGER_ONLY)


def test_it_is_integer_only_and_hears_words(file):
    assert file.audit().floating == []
    recognizer = Recognizer(INTEGER_ONLY)
    for mode in ("greedy", "rescoring"):
        stream = recognizer.stream(StreamOptions(320, mode))
        events = stream.accept(recording("low mid high", seed=0)) + stream.finish()
        words = [word.text for final in finals(events) for word in final.words]
        assert words == ["low", "mid", "high"]


def test_threads_and_instruction_sets_give_the_same_bits(file):
    sessions = {(isa, n): Session(file, isa=isa, threads=n) for isa in ISAS for n in (1, 3)}
    states = {key: State(file) for key in sessions}
    for seed, (steps, extra) in enumerate(WINDOWS):
        x = {"features": features(steps, extra, seed)}
        outputs = {key: session.run(x, states[key]) for key, session in sessions.items()}
        first = outputs[ISAS[0], 1]
        for key, output in outputs.items():
            assert output == first, key
            assert states[key].save() == states[ISAS[0], 1].save(), key


@pytest.mark.parametrize("threads", [1, 3])
def test_a_batch_of_streams_has_the_bits_of_single_ones(file, threads):
    session, alone = Session(file, threads=threads), Session(file)
    states = [State(file) for _ in range(5)]
    for index, state in enumerate(states):  # each stream elsewhere
        for step in range(index):
            alone.run({"features": features(8, 0, 10 * index + step)}, state)
    singles = [state.copy() for state in states]
    chunks = [features(8, 0, 100 + index) for index in range(5)]
    for x, state, output in zip(chunks, singles, session.step_many(states, chunks), strict=True):
        assert output == alone.run({"features": x}, state)
    assert [s.save() for s in states] == [s.save() for s in singles]
