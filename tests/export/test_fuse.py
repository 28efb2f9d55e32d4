"""What the compile step fuses computes the same bits as what it was made of."""

import numpy as np
import pytest
from onnx import helper
from onnx_graphs import W4A8, int4_tensor, model_of, run_engine

import halfbyte.blocks.attention
import halfbyte.blocks.conformer
import halfbyte.blocks.leaves
import halfbyte.export.lower
from halfbyte.engine import ModelFile, Session, State
from halfbyte.export.compile import compile_model
from halfbyte.export.graph_ir import read_onnx
from halfbyte.export.graphs import trace
from halfbyte.export.lower import lower
from halfbyte.export.onnx_model import finish
from halfbyte.families.streaming import encoder_graph

HEAD_BYTES = 24  # of a saved state; among them the fingerprint of its model file
CHUNKS = [(8, 0), (4, 0), (1, 0), (8, 0), (3, 2), (1, 3)]  # steps, frames more
BLOCKS = {  # fixture -> operators of a whole block, and how many layers
    "voice": ({"PatchLinear": 3, "ChunkAttention": 4, "ChunkConv": 4}),
    "mixed": ({"ChunkAttention": 2, "ChunkConv": 2}),
}


def compile_both(model, folder, monkeypatch, plain=None):
    """The graph as one file with whole blocks fused, and it or `plain` as one without."""
    compile_model({"encoder": model}, {"name": "test"}, folder / "fused.hb")
    with monkeypatch.context() as patch:
        patch.setattr(halfbyte.export.lower, "fuse_blocks", lambda graph: None)
        compile_model({"encoder": plain or model}, {"name": "test"}, folder / "plain.hb")
    return ModelFile(folder / "fused.hb"), ModelFile(folder / "plain.hb")


def traced_plain(exported, monkeypatch):
    """The encoder graph in torch's own operators, as a file from elsewhere has it."""
    with monkeypatch.context() as patch:
        for block in (halfbyte.blocks.attention, halfbyte.blocks.conformer, halfbyte.blocks.leaves):
            patch.setattr(block, "is_in_onnx_export", lambda: False)
        return finish(trace(encoder_graph(exported.model)))


def operators_of(model):
    graph = read_onnx(model, "encoder")
    lower(graph)
    return [node.op for node in graph.nodes]


@pytest.mark.parametrize("isa", ["portable", None])
@pytest.mark.parametrize("name", BLOCKS)
def test_fused_streams_have_the_bits_of_unfused_ones(name, isa, request, tmp_path, monkeypatch):
    exported = request.getfixturevalue(name)
    plain = traced_plain(exported, monkeypatch)
    files = compile_both(exported.encoder, tmp_path, monkeypatch, plain)
    files = (*files, files[0])
    sessions = [
        Session(file, isa=isa, threads=threads)
        for file, threads in zip(files, (1, 1, 3), strict=True)
    ]
    for left_steps in (None, 3):
        states = [State(file, left_context_steps=left_steps) for file in files]
        for seed, (steps, extra) in enumerate(CHUNKS):
            features = {"features": exported.features(steps, extra, seed)}
            fused, plain, shared = (
                s.run(features, t) for s, t in zip(sessions, states, strict=True)
            )
            assert fused == plain == shared
            contents = [state.save()[HEAD_BYTES:] for state in states]
            assert contents[0] == contents[1] == contents[2]


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("name", BLOCKS)
def test_a_batch_of_fused_streams_has_the_bits_of_single_ones(name, threads, request):
    exported = request.getfixturevalue(name)
    session, alone = Session(exported.file, threads=threads), Session(exported.file)
    states = [State(exported.file) for _ in range(5)]
    for index, state in enumerate(states):  # each stream elsewhere
        for step in range(index):
            alone.run({"features": exported.features(8, 0, 10 * index + step)}, state)
    singles = [state.copy() for state in states]
    chunks = [exported.features(8, 0, 100 + index) for index in range(5)]
    outputs = session.step_many(states, chunks)
    for features, state, output in zip(chunks, singles, outputs, strict=True):
        assert output == alone.run({"features": features}, state)
    assert [s.save() for s in states] == [s.save() for s in singles]


@pytest.mark.parametrize("name", BLOCKS)
def test_whole_blocks_are_found(name, request):
    found = operators_of(request.getfixturevalue(name).encoder)
    assert {op: found.count(op) for op in BLOCKS[name]} == BLOCKS[name]
    assert not {"Softmax", "Pad", "Relu", "Glu", "DepthwiseConv"} & set(found)


def linear_with(tail, inputs, initializers=(), num_outputs=16):
    """A graph of a W4A8 layer y = linear(x) and nodes after it."""
    rng = np.random.default_rng(5)
    constants = {
        "codes": int4_tensor("codes", rng.integers(-7, 8, (num_outputs, 24)).astype(np.int8)),
        "scales": (rng.random(num_outputs) * 0.1 + 0.01).astype(np.float16),
        "bias": rng.standard_normal(num_outputs).astype(np.float16),
        **dict(initializers),
    }
    linear = helper.make_node(
        "Linear", ["x", "codes", "scales", "bias"], ["y"], domain="halfbyte", **W4A8
    )
    return model_of([linear, *tail], inputs, ["z"], constants)


def after(op, names, output="z", **attributes):
    return helper.make_node(op, names.split(), [output], **attributes)


HALF = {"half": np.array(0.5, np.float32)}
TAILS = {  # id: (nodes after y, shape of r, constants, operators of the fused graph)
    "relu": ([after("Relu", "y")], None, {}, ["Linear"]),
    "silu": ([after("Sigmoid", "y", "s"), after("Mul", "s y")], None, {}, ["Linear"]),
    "residual": ([after("Add", "r y")], (2, 5, 16), {}, ["Linear"]),
    "half": ([after("Mul", "y half", "h"), after("Add", "h r")], (2, 5, 16), HALF, ["Linear"]),
    "smaller": ([after("Add", "y r")], (5, 1), {}, ["Linear"]),
    "larger": ([after("Add", "y r")], (3, 2, 5, 16), {}, ["Linear"]),
    "twice": ([after("Add", "y y")], None, {}, ["Linear", "Add"]),
    "read_twice": (
        [after("Relu", "y", "a"), after("Add", "a y")],
        None,
        {},
        ["Linear", "Relu", "Add"],
    ),
}


@pytest.mark.parametrize("case", TAILS)
def test_what_follows_a_layer_keeps_its_bits(case, tmp_path, monkeypatch):
    tail, residual_shape, constants, expected = TAILS[case]
    rng = np.random.default_rng(6)
    inputs = {"x": rng.standard_normal((2, 5, 24)).astype(np.float32)}
    if residual_shape is not None:
        inputs["r"] = rng.standard_normal(residual_shape).astype(np.float32)
    model = linear_with(tail, inputs, constants)
    assert operators_of(model) == expected
    fused, plain = compile_both(model, tmp_path, monkeypatch)
    results = [run_engine(file, inputs, "encoder")["z"] for file in (fused, plain)]
    np.testing.assert_array_equal(*results)


def test_a_residual_that_is_read_later_is_not_overwritten(tmp_path, monkeypatch):
    rng = np.random.default_rng(7)
    inputs = {"x": rng.standard_normal((4, 24)).astype(np.float32)}
    inputs["r"] = rng.standard_normal((4, 16)).astype(np.float32)
    tail = [
        after("Relu", "r", "a"),
        after("Add", "a y", "b"),
        after("Mul", "a b"),
    ]
    files = compile_both(linear_with(tail, inputs), tmp_path, monkeypatch)
    results = [run_engine(file, inputs, "encoder")["z"] for file in files]
    np.testing.assert_array_equal(*results)
    assert np.abs(results[0]).max() > 0
