"""Several streams in one batch: each gets its own bits, whatever the others do."""

import numpy as np
import pytest
from onnx_graphs import compiled
from seeded import FRAMES, chunk
from streaming_graph import D, streaming_model

from halfbyte.engine import Session, State, Tensor
from halfbyte.errors import InputError, UsageError


def streams_at(model, positions):
    """States of streams that have heard so many chunks each."""
    session, states = Session(model), [State(model) for _ in positions]
    for index, (state, position) in enumerate(zip(states, positions, strict=True)):
        for step in range(position):
            session.run({"features": chunk(100 * index + step)[None]}, state)
    return states


@pytest.mark.parametrize("num_streams", [1, 2, 3, 8, 17, 64])
def test_each_stream_of_a_batch_gets_its_own_bits(shipped, num_streams):
    states = streams_at(shipped, [index % 9 for index in range(num_streams)])
    alone, session, single = [s.copy() for s in states], Session(shipped), Session(shipped)
    for step in range(2):
        chunks = [chunk(7000 + 100 * index + step) for index in range(num_streams)]
        outputs = session.step_many(states, chunks)
        for state, features, output in zip(alone, chunks, outputs, strict=True):
            assert output == single.run({"features": features[None]}, state)
    assert [s.save() for s in states] == [s.save() for s in alone]


def test_a_short_last_chunk_and_tensors_run_as_a_batch(shipped):
    states = streams_at(shipped, [0, 5])
    alone = [s.copy() for s in states]
    chunks = [Tensor("float32", (1, 23, 80), chunk(i, 23).tobytes()) for i in range(2)]
    outputs = Session(shipped).step_many(states, chunks)
    expected = [
        Session(shipped).run({"features": c}, s) for c, s in zip(chunks, alone, strict=True)
    ]
    assert outputs == expected


def test_a_batch_that_fails_changes_no_state(shipped):
    states = streams_at(shipped, [1, 2])
    saved = [s.save() for s in states]
    with pytest.raises(InputError, match="NaN"):
        Session(shipped).step_many(states, [chunk(1), np.full((FRAMES, 80), np.nan, np.float32)])
    assert [s.save() for s in states] == saved


def test_streams_that_do_not_fit_together_are_refused(shipped, tmp_path):
    session, state, other = Session(shipped), State(shipped), State(shipped)
    refused = [
        ([state, other], [chunk(1), chunk(1, 39)], InputError, "all of one shape"),
        ([state], [chunk(1), chunk(2)], InputError, "one chunk a state"),
        ([state, state], [chunk(1), chunk(2)], UsageError, "twice"),
        ([state, State(shipped, left_context_steps=8)], [chunk(1)] * 2, InputError, "left context"),
        ([state], [chunk(1).astype(np.float64)], InputError, "format 'd'"),
        ([], [], InputError, "one chunk a state"),
    ]
    for states, chunks, error, message in refused:
        with pytest.raises(error, match=message):
            session.step_many(states, chunks)
    model = streaming_model()
    model.graph.input[0].type.tensor_type.shape.dim[0].dim_param = "batch"
    fixed = compiled(model, tmp_path, "encoder")
    steps = [np.zeros((3, D), np.float32)] * 2
    with pytest.raises(UsageError, match=r"no batch axis in 'state\."):
        Session(fixed).step_many([State(fixed), State(fixed)], steps)
