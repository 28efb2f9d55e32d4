"""Threads share the work of a step and change nothing else."""

import numpy as np
import pytest
from seeded import chunk

from halfbyte.engine import Session, State
from halfbyte.errors import InputError, UsageError


@pytest.mark.parametrize("threads", [2, 3, 5])
@pytest.mark.parametrize("isa", ["portable", None])
def test_any_number_of_threads_gives_the_same_bits(shipped, threads, isa):
    alone, shared = Session(shipped, isa=isa), Session(shipped, isa=isa, threads=threads)
    assert (alone.num_threads, shared.num_threads) == (1, threads)
    states = [State(shipped), State(shipped)]
    for seed, frames in enumerate([71, 71, 39, 23, 263]):
        features = {"features": chunk(seed, frames)[None]}
        outputs = [s.run(features, t) for s, t in zip((alone, shared), states, strict=True)]
        assert outputs[0] == outputs[1]
    assert states[0].save() == states[1].save()


def test_a_batch_of_streams_on_threads_has_the_same_bits(shipped):
    results = []
    for threads in (1, 2):
        states = [State(shipped) for _ in range(9)]
        session = Session(shipped, threads=threads)
        results.append(
            [session.step_many(states, [chunk(10 * s + i) for i in range(9)]) for s in range(2)]
        )
    assert results[0] == results[1]


def test_an_error_in_a_thread_is_raised_and_the_session_goes_on(shipped):
    session, features = Session(shipped, threads=3), chunk(1)[None]
    expected = session.run({"features": features}, State(shipped))
    broken = features.copy()
    broken[0, 30, 5] = np.nan
    for _ in range(5):
        with pytest.raises(InputError, match="NaN"):
            session.run({"features": broken}, State(shipped))
        assert session.run({"features": features}, State(shipped)) == expected


def test_the_environment_says_how_many_threads(shipped, monkeypatch):
    monkeypatch.setenv("HALFBYTE_THREADS", "2")
    assert Session(shipped).num_threads == 2
    assert Session(shipped, threads=1).num_threads == 1
    for text in ("0", "two", "2x", "257", "-1"):
        monkeypatch.setenv("HALFBYTE_THREADS", text)
        with pytest.raises(UsageError, match=f"HALFBYTE_THREADS is '{text}'; expected 1 to 256"):
            Session(shipped)
    with pytest.raises(UsageError, match="expected 1 to 256"):
        Session(shipped, threads=0)
    with pytest.raises(UsageError, match="threads is 300; expected 1 to 256"):
        Session(shipped, threads=300)
