"""Searches over a compiled decoder graph equal searches over the same graph called from Python."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from halfbyte import _core
from halfbyte.engine import ModelFile, Session
from halfbyte.errors import InputError
from halfbyte.export.compile import compile_model

decode = _core.decode
NUM_TOKENS, WIDTH = 6, 8
SOS = EOS = NUM_TOKENS - 1


def decoder_graph() -> object:
    """log_softmax(embedding(token) * first memory frame @ output): Markov, but a real graph."""
    rng = np.random.default_rng(8)
    embedding = rng.normal(0, 1, (NUM_TOKENS, WIDTH)).astype(np.float32)
    output = rng.normal(0, 1, (WIDTH, NUM_TOKENS)).astype(np.float32)
    nodes = [
        helper.make_node("Gather", ["embedding", "tokens"], ["embedded"], axis=0),
        helper.make_node("Slice", ["memory", "zero", "one", "one"], ["first"]),
        helper.make_node("Mul", ["embedded", "first"], ["gated"]),
        helper.make_node("MatMul", ["gated", "output"], ["logits"]),
        helper.make_node("LogSoftmax", ["logits"], ["log_probs"], axis=-1),
    ]
    tensors = {
        "embedding": embedding,
        "output": output,
        "zero": np.array([0], np.int64),
        "one": np.array([1], np.int64),
    }
    graph = helper.make_graph(
        nodes,
        "decoder",
        [
            helper.make_tensor_value_info("tokens", TensorProto.INT64, ["N", "L"]),
            helper.make_tensor_value_info("memory", TensorProto.FLOAT, [1, "T", WIDTH]),
        ],
        [helper.make_tensor_value_info("log_probs", TensorProto.FLOAT, ["N", "L", NUM_TOKENS])],
        [numpy_helper.from_array(value, name) for name, value in tensors.items()],
    )
    opset = helper.make_opsetid("", 21)
    return helper.make_model(graph, opset_imports=[opset], ir_version=10)


@pytest.fixture
def session(tmp_path: Path) -> Session:
    compile_model({"decoder": decoder_graph()}, {"name": "test"}, tmp_path / "decoder.hb")
    return Session(ModelFile(tmp_path / "decoder.hb"), "decoder")


MEMORY = np.random.default_rng(9).normal(0, 1, (1, WIDTH)).astype(np.float32)


def test_searches_equal_those_through_python(session: Session) -> None:
    graph = decode.GraphDecoder(session.core, MEMORY)

    def function(tokens: memoryview) -> np.ndarray:
        answer = session.run({"tokens": tokens, "memory": MEMORY[None]})["log_probs"]
        return np.frombuffer(answer.data, np.float32).reshape(answer.shape)

    candidates = [([1, 2, 3], -4.0), ([1], -5.0), ([], -6.0)]
    judged = [
        [(r.index, r.score, r.token_log_probs) for r in found]
        for found in (
            decode.attention_rescoring(graph, candidates, SOS, EOS),
            decode.attention_rescoring(function, candidates, SOS, EOS),
        )
    ]
    assert judged[0] == judged[1]
    found = [
        [(h.tokens, h.score) for h in decode.attention_search(decoder, SOS, EOS, 12, beam=4)]
        for decoder in (graph, function)
    ]
    assert found[0] == found[1]


def test_memory_of_another_width(session: Session) -> None:
    graph = decode.GraphDecoder(session.core, np.zeros((3, WIDTH + 1), np.float32))
    with pytest.raises(InputError, match="memory"):
        decode.attention_rescoring(graph, [([1], 0.0)], SOS, EOS)
