"""Weights of every width: one layer in torch, ONNX Runtime and the engine; bytes in the file."""

import numpy as np
import onnxruntime
import pytest
import torch
from export.layer_graph import graph_of
from onnx import TensorProto, numpy_helper
from onnx_graphs import as_array

from halfbyte.engine import ModelFile, Session
from halfbyte.export.compile import compile_model
from halfbyte.ops.embedding import NativeEmbedding
from halfbyte.ops.native_linear import NativeLinear
from halfbyte.quant.codecs.uniform import packed_size, unpack
from halfbyte.quant.formats import format_named

ROWS, K, N = 5, 70, 33  # no multiple of any tile


def linear(bits: int) -> tuple[NativeLinear, dict[str, np.ndarray]]:
    torch.manual_seed(bits)
    layer = NativeLinear(K, N, format_named(f"w{bits}a8"))
    torch.nn.init.normal_(layer.bias)
    return layer, {"x": np.random.default_rng(bits).normal(size=(ROWS, K)).astype(np.float32)}


def table(bits: int) -> tuple[NativeEmbedding, dict[str, np.ndarray]]:
    torch.manual_seed(bits)
    return NativeEmbedding(N, K, format_named(f"w{bits}a8")), {"ids": np.array([0, 7, N - 1, 7])}


@pytest.mark.parametrize("kind", ["linear", "embedding"])
@pytest.mark.parametrize("bits", range(1, 9))
def test_a_width_is_stored_as_it_is_and_gives_equal_bits(bits, kind, tmp_path):
    layer, inputs = linear(bits) if kind == "linear" else table(bits)
    model, path = graph_of(layer, inputs), tmp_path / "m.hb"
    compile_model({"g": model}, {}, path)

    codes = model.graph.initializer[0]
    assert codes.data_type == (TensorProto.INT4 if bits <= 4 else TensorProto.INT8)
    expected_codes = layer.quantized_weight().codes.numpy()
    np.testing.assert_array_equal(numpy_helper.to_array(codes).astype(np.int8), expected_codes)

    file = ModelFile(path)
    (stored,) = file.layers("g")
    packed = file.constant("g", stored.name)
    assert (packed.dtype, len(packed.data)) == (f"packed{bits}", packed_size(N, K, bits))
    found = unpack(np.frombuffer(packed.data, np.uint8), bits, N, K)
    np.testing.assert_array_equal(found, expected_codes)

    with torch.no_grad():
        expected = layer(torch.from_numpy(next(iter(inputs.values())))).numpy()
    session = onnxruntime.InferenceSession(model.SerializeToString())
    np.testing.assert_array_equal(session.run(None, inputs)[0], expected)
    np.testing.assert_array_equal(as_array(Session(file, "g").run(inputs)["y"]), expected)


def test_what_graphs_share_is_counted_once(tmp_path):
    """Two graphs of one layer, the second with another layer besides."""
    layer, inputs = linear(4)
    table_layer, ids = table(8)
    graphs = {"a": graph_of(layer, inputs), "b": graph_of(layer, inputs)}
    graphs["c"] = graph_of(table_layer, ids)
    compile_model(graphs, {}, tmp_path / "m.hb")
    file = ModelFile(tmp_path / "m.hb")
    assert file.layers("a") == file.layers("b")
    stored = file.stored_layers()
    assert [one.op for one in stored] == ["Linear", "Embedding"]
    assert sum(one.num_parameters for one in stored) == N * K + N + N * K
    gaps = 64 * sum(len(one.tensors) for one in stored)
    assert 0 <= file.sections["weights"] - sum(one.num_bytes for one in stored) < gaps


def test_the_file_shrinks_with_every_bit(tmp_path):
    """A layer whose sizes need no padding: N · K · bits / 8 bytes of codes, and 4 an output."""
    for bits in range(1, 9):
        layer = NativeLinear(64, 32, format_named(f"w{bits}a8"))
        x = {"x": np.ones((1, 64), np.float32)}
        compile_model({"g": graph_of(layer, x)}, {}, tmp_path / "m.hb")
        (stored,) = ModelFile(tmp_path / "m.hb").layers("g")
        assert stored.num_bytes == 64 * 32 * bits // 8 + 32 * 4
