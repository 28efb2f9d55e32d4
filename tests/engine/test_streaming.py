"""Sessions and states: streams, shapes that change, save and restore, constant memory."""

import ctypes

import numpy as np
import pytest
from onnx import numpy_helper
from onnx_graphs import as_array, compiled, run_reference
from streaming_graph import LEFT_STEPS, TAPS, D, streaming_model

from halfbyte import _core
from halfbyte.engine import Session, State, Tensor
from halfbyte.errors import InputError, UsageError

CHUNKS = [3, 3, 1, 7, 3, 2, 16]


@pytest.fixture(scope="module")
def model():
    return streaming_model()


@pytest.fixture(scope="module")
def model_file(model, tmp_path_factory):
    return compiled(model, tmp_path_factory.mktemp("model"), "encoder")


def chunks(seed=0):
    rng = np.random.default_rng(seed)
    return [rng.standard_normal((1, steps, D)).astype(np.float32) for steps in CHUNKS]


def run_stream(session, state, stream):
    return [as_array(session.run({"features": chunk}, state)["y"]) for chunk in stream]


def assert_equal_streams(got, expected):
    for a, b in zip(got, expected, strict=True):
        np.testing.assert_array_equal(a, b)


def test_stream_equals_onnx_runtime(model, model_file):
    initial = {t.name: numpy_helper.to_array(t) for t in model.graph.initializer}
    states = {name: initial[name] for name in ("state.conv", "state.key")}
    session, state = Session(model_file), State(model_file)
    for chunk in chunks():
        got = as_array(session.run({"features": chunk}, state)["y"])
        expected = run_reference(model, {"features": chunk, **states})
        np.testing.assert_allclose(got, expected["y"], rtol=1e-5, atol=1e-5)
        states = {name: expected[name.replace("state.", "next.")] for name in states}
        for name, tensor in state.tensors().items():
            np.testing.assert_allclose(as_array(tensor), states[name], rtol=1e-5, atol=1e-5)


def test_a_next_state_is_read_from_the_state_that_took_it(model_file):
    session, state = Session(model_file), State(model_file)
    session.run({"features": chunks()[0]}, state)
    with pytest.raises(UsageError, match=r"'next\.key' went into the state; read it there"):
        session.core.output("next.key")
    alone = session.run({"features": chunks()[0]})
    for name, tensor in state.tensors().items():
        np.testing.assert_array_equal(
            as_array(tensor), as_array(alone[name.replace("state.", "next.")])
        )


def test_streams_that_share_a_session_do_not_disturb_each_other(model_file):
    alone = run_stream(Session(model_file), State(model_file), chunks())
    session, first, second = Session(model_file), State(model_file), State(model_file)
    together = []
    for chunk, other in zip(chunks(), chunks(1), strict=True):
        together.append(as_array(session.run({"features": chunk}, first)["y"]))
        session.run({"features": other}, second)
    assert_equal_streams(together, alone)


def test_every_isa_gives_the_same_bits(model_file):
    results = [
        run_stream(Session(model_file, isa=isa), State(model_file), chunks())
        for isa in _core.kernels.isas()
    ]
    for other in results[1:]:
        assert_equal_streams(other, results[0])


def test_reset_copy_save_restore(model_file):
    session, state = Session(model_file), State(model_file)
    stream = chunks()
    whole = run_stream(session, state, stream)
    state.reset()
    assert_equal_streams(run_stream(session, state, stream[:3]), whole[:3])
    twin, saved = state.copy(), state.save()
    run_stream(session, state, chunks(7))
    assert_equal_streams(run_stream(session, twin, stream[3:]), whole[3:])
    restored = State(model_file)
    restored.restore(saved)
    assert_equal_streams(run_stream(Session(model_file), restored, stream[3:]), whole[3:])


def test_damaged_or_foreign_saved_states_are_refused(model_file):
    saved = State(model_file).save()
    state = State(model_file)
    for size in range(len(saved)):
        with pytest.raises(InputError):
            state.restore(saved[:size])
    for at in range(len(saved)):
        with pytest.raises(InputError):
            state.restore(saved[:at] + bytes([saved[at] ^ 1]) + saved[at + 1 :])
    with pytest.raises(InputError, match="left context"):
        state.restore(State(model_file, left_context_steps=9).save())


@pytest.mark.parametrize("left_steps", [0, 1, LEFT_STEPS, 11])
def test_left_context_is_chosen_with_the_state(model, model_file, left_steps):
    state = State(model_file, left_context_steps=left_steps)
    assert state.left_context_steps == left_steps
    key, conv = np.zeros((1, left_steps, D), np.float32), np.ones((1, TAPS - 1, D), np.float32)
    chunk = chunks()[0]
    got = as_array(Session(model_file).run({"features": chunk}, state)["y"])
    inputs = {"features": chunk, "state.key": key, "state.conv": conv}
    np.testing.assert_allclose(got, run_reference(model, inputs)["y"], rtol=1e-5, atol=1e-5)


def test_left_context_that_cannot_be_is_refused(model_file, tmp_path):
    for steps in (-2, 2**40):
        with pytest.raises(UsageError, match="left context"):
            State(model_file, left_context_steps=steps)
    fixed = compiled(streaming_model(left_axis=LEFT_STEPS), tmp_path, "encoder")
    assert State(fixed).left_context_steps == -1
    with pytest.raises(UsageError, match="no left context"):
        State(fixed, left_context_steps=LEFT_STEPS)


def test_without_a_state_the_initial_one_is_read_and_kept(model_file):
    session, chunk = Session(model_file), chunks()[0]
    outputs = [session.run({"features": chunk}) for _ in range(2)]
    assert {"y", "next.conv", "next.key"} == outputs[0].keys()
    assert outputs[0] == outputs[1]
    assert outputs[0]["y"] == session.run({"features": chunk}, State(model_file))["y"]


def test_repeated_shapes_allocate_nothing(model_file):
    class Mallinfo(ctypes.Structure):
        _fields_ = [(name, ctypes.c_size_t) for name in "abcdefghij"]

    mallinfo = ctypes.CDLL(None).mallinfo2
    mallinfo.restype = Mallinfo
    session, state, stream = Session(model_file), State(model_file), chunks()
    run_stream(session, state, stream)
    plans, arena = session.num_plans, session.arena_bytes
    before = mallinfo().h  # bytes in use
    for _ in range(100):
        run_stream(session, state, stream)
    assert mallinfo().h - before < 16384
    assert (session.num_plans, session.arena_bytes) == (plans, arena)


def test_many_shapes_keep_a_bounded_number_of_plans(model_file):
    session = Session(model_file)
    for steps in range(1, 40):
        session.run({"features": np.zeros((1, steps, D), np.float32)})
    assert session.num_plans == 8


def test_tensors_need_no_numpy(model_file):
    features = Tensor.of([0.5] * (2 * D), (1, 2, D))
    output = Session(model_file).run({"features": features})["y"]
    array = np.full((1, 2, D), 0.5, np.float32)
    assert output == Session(model_file).run({"features": array})["y"]
    assert np.asarray(output.view()).shape == (1, 2, D)


@pytest.mark.parametrize(
    ("inputs", "error", "message"),
    [
        ({"features": np.zeros((1, 3, D + 1), np.float32)}, InputError, "expected float32"),
        ({"features": np.zeros((3, D), np.float32)}, InputError, "expected float32"),
        ({"features": np.zeros((1, 3, D), np.int64)}, InputError, "expected float32"),
        ({"features": np.zeros((1, 3, D), np.float64)}, InputError, "format 'd'"),
        ({"features": np.full((1, 3, D), np.nan, np.float32)}, InputError, "NaN"),
        ({"words": np.zeros((1, 3, D), np.float32)}, UsageError, "it takes features"),
        ({}, UsageError, "was not set"),
    ],
)
def test_wrong_inputs_are_refused_in_one_line(model_file, inputs, error, message):
    with pytest.raises(error, match=message) as caught:
        Session(model_file).run(inputs, State(model_file))
    assert "\n" not in str(caught.value)


def test_a_refused_step_leaves_the_state_as_it_was(model_file):
    session, state = Session(model_file), State(model_file)
    run_stream(session, state, chunks()[:2])
    before = state.save()
    with pytest.raises(InputError):
        session.run({"features": np.full((1, 3, D), np.inf, np.float32)}, state)
    assert state.save() == before


def test_unknown_graph_and_isa_are_refused(model_file):
    with pytest.raises(UsageError, match="it has encoder"):
        Session(model_file, "joiner")
    with pytest.raises(UsageError):
        Session(model_file, isa="mmx")
