"""A checkpoint through ONNX to the model file: what is inside, and that all three compute alike."""

import errno
import itertools
import json
import math
import os
import re
from collections import Counter
from contextlib import suppress
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from export.models import Exported, following
from onnx import TensorProto, numpy_helper
from torch import nn

from halfbyte.engine import ModelFile, Session
from halfbyte.engine.test_vector import vector_differences
from halfbyte.errors import ConfigError, InputError, ModelFileError, UsageError
from halfbyte.export.compile import LARGEST_SHARE
from halfbyte.export.onnx_model import compile_folder, export

LAYER_OPS = {"Linear", "Embedding"}
BLOCK_OPS = {"ChunkAttention", "ChunkConv", "Glu", "Silu"}
CHUNKS = [(8, 0), (4, 0), (1, 0), (8, 0), (3, 2), (20, 0), (1, 3)]  # steps, frames more
# Training graph, ONNX Runtime and engine sum floats in different orders: that makes ROUNDING.
# Where an activation then falls to the other side of a rounding, a code flips, and what depends
# on it differs by up to FLIPPED; that happens to some results, not to most.
ROUNDING = 2e-5
FLIPPED = 0.2
RATIO = 7.4  # how much smaller the file must be than the float32 weights


@pytest.fixture(params=["voice", "mixed"])
def exported(request) -> Exported:
    return request.getfixturevalue(request.param)


def nodes(graph: onnx.ModelProto) -> list[onnx.NodeProto]:
    return [node for node in graph.graph.node if node.domain == "halfbyte"]


def layers(graph: onnx.ModelProto) -> list[onnx.NodeProto]:
    return [node for node in nodes(graph) if node.op_type in LAYER_OPS]


@pytest.mark.parametrize("part", ["encoder", "decoder"])
def test_the_onnx_file_is_valid_and_complete(exported, part):
    graph = getattr(exported, part)
    onnx.checker.check_model(graph, full_check=True)
    opsets = {opset.domain: opset.version for opset in graph.opset_import}
    assert opsets == {"": 21, "halfbyte": 1}
    used = {node.op_type for node in nodes(graph)}
    assert used == LAYER_OPS if part == "decoder" else used == {"Linear"} | BLOCK_OPS
    assert {function.name for function in graph.functions} == used
    assert {function.domain for function in graph.functions} == {"halfbyte"}
    domains = {node.domain for function in graph.functions for node in function.node}
    assert domains | {node.domain for node in graph.graph.node} <= {"", "halfbyte"}
    assert domains == {""}


@pytest.mark.parametrize("part", ["encoder", "decoder"])
def test_codes_are_integers_and_small_parameters_halves(exported, part):
    graph = getattr(exported, part)
    initializers = {tensor.name: tensor for tensor in graph.graph.initializer}
    for node in layers(graph):
        codes, *halves = [initializers[name] for name in node.input[1:]]
        is_four_bit = next(a.i for a in node.attribute if a.name == "weight_bits") == 4
        assert codes.data_type == (TensorProto.INT4 if is_four_bit else TensorProto.INT8)
        assert {tensor.data_type for tensor in halves} == {TensorProto.FLOAT16}
        largest = 7 if is_four_bit else 127
        values = numpy_helper.to_array(codes).astype(int)
        assert np.abs(values).max(axis=1).tolist() == [largest] * len(values)


@pytest.mark.parametrize("part", ["encoder", "decoder"])
def test_what_is_no_code_is_a_half_too(exported, part):
    """Norms, biases, convolutions: the exporter widens them, but they hold halves."""
    graph = getattr(exported, part).graph
    constants = {t.name: numpy_helper.to_array(t) for t in graph.initializer if t.data_type == 1}
    values = {n: a for n, a in constants.items() if a.size > 1 and not n.startswith("state.")}
    wide = [name for name, array in values.items() if (np.float16(array) != array).any()]
    assert len(values) >= 8
    num_float_layers = sum(type(module) is nn.Linear for module in exported.model.modules())
    assert len(wide) <= 1 + 2 * num_float_layers, wide  # 1: the frequencies of positions


def test_every_layer_has_the_number_format_of_the_configuration(voice, mixed):
    def formats(one: Exported) -> Counter[str]:
        return Counter(
            (n.op_type, *(a.i for a in n.attribute))
            for g in (one.encoder, one.decoder)
            for n in layers(g)
        )

    num_linear = sum(type(m).__name__ == "NativeLinear" for m in voice.model.modules())
    assert formats(voice) == {("Linear", 4, 8): num_linear, ("Embedding", 4): 1}
    num_linear = sum(type(m).__name__ == "NativeLinear" for m in mixed.model.modules())
    num_mixed = {("Linear", 8, 8): 2, ("Linear", 4, 4): 2, ("Embedding", 8): 1}
    assert formats(mixed) == {("Linear", 4, 8): num_linear - 4, **num_mixed}
    in_file = Counter(
        layer.kind for graph in mixed.file.graph_names for layer in mixed.file.layers(graph)
    )
    kinds = ("Linear w8a8", "Linear w4a4", "Embedding w8")
    assert [in_file[kind] for kind in kinds] == [2, 2, 1]
    assert in_file["LinearFloat"] >= 1  # the query projection that a pattern leaves in float32


def test_states_have_default_values(exported):
    initializers = {tensor.name: tensor for tensor in exported.encoder.graph.initializer}
    inputs = [value.name for value in exported.encoder.graph.input]
    states = exported.initial_states()
    assert sorted(inputs) == sorted(["features", *states])
    assert ("state.offset" in inputs) == (not exported.config.model.encoder.relative_shift)
    for name, value in states.items():
        np.testing.assert_array_equal(numpy_helper.to_array(initializers[name]), value)
    features = exported.features(8, 0, seed=1)
    without = exported.in_onnx_runtime(features, {})
    for name, value in exported.in_onnx_runtime(features, states).items():
        np.testing.assert_array_equal(without[name], value)
    without = exported.in_engine(features, {})
    for name, value in exported.in_engine(features, states).items():
        np.testing.assert_array_equal(without[name], value)


def largest_difference(found: np.ndarray, expected: np.ndarray) -> float:
    assert found.shape == expected.shape
    return float(np.abs(found - expected).max())


def assert_alike(differences: list[float]) -> None:
    """Most results differ by rounding alone, the others by flipped codes."""
    assert max(differences) <= FLIPPED
    assert np.median(differences) <= ROUNDING


@pytest.mark.parametrize("oracle", ["in_torch", "in_onnx_runtime"])
def test_chunks_of_any_length_give_what_the_training_graph_gives(exported, oracle):
    """Outputs and states, over several chunks."""
    states, differences = exported.initial_states(), []
    for seed, (num_steps, extra_frames) in enumerate(CHUNKS):
        features = exported.features(num_steps, extra_frames, seed)
        found = exported.in_engine(features, states)
        expected = getattr(exported, oracle)(features, states)
        assert found.keys() == expected.keys()
        assert found["ctc_log_probs"].shape == (1, num_steps, exported.model.num_tokens)
        differences += [largest_difference(found[name], expected[name]) for name in found]
        states = following(expected)
    assert_alike(differences)


@pytest.mark.parametrize("oracle", ["in_torch", "in_onnx_runtime"])
def test_differences_do_not_grow_from_chunk_to_chunk(exported, oracle):
    """Each runtime keeps its own states."""
    runtimes = (exported.in_engine, getattr(exported, oracle))
    states, differences = [exported.initial_states()] * 2, []
    for seed in range(12):
        features = exported.features(6, 0, seed)
        both = [run(features, s) for run, s in zip(runtimes, states, strict=True)]
        differences.append(largest_difference(*(one["encoder_out"] for one in both)))
        states = [following(one) for one in both]
    assert max(differences) <= 2 * FLIPPED


@pytest.mark.parametrize("oracle", ["torch", "onnx_runtime"])
def test_the_decoder_gives_what_the_training_graph_gives(exported, oracle):
    boundary, differences = exported.model.num_tokens - 1, []
    for num_rows, num_tokens, num_steps in itertools.product((1, 3), (1, 4, 9), (1, 37)):
        random = np.random.default_rng([num_rows, num_tokens, num_steps])
        tokens = random.integers(1, boundary, (num_rows, num_tokens))
        tokens[:, 0] = boundary
        memory = random.normal(size=(1, num_steps, exported.model.decoder.width))
        memory = memory.astype(np.float32)
        found = exported.decoder_in_engine(tokens, memory)
        expected = getattr(exported, f"decoder_in_{oracle}")(tokens, memory)
        assert found.shape == (num_rows, num_tokens, boundary + 1)
        differences += [largest_difference(*pair) for pair in zip(found, expected, strict=True)]
        np.testing.assert_allclose(np.exp(found.astype(float)).sum(-1), 1, atol=1e-5)
    assert_alike(differences)


def test_what_follows_a_token_changes_nothing_before_it(exported):
    """Rows may be padded at their end."""
    memory = np.random.default_rng(3).normal(size=(1, 12, exported.model.decoder.width))
    memory = memory.astype(np.float32)
    boundary = exported.model.num_tokens - 1
    row = exported.decoder_in_engine(np.array([[boundary, 3, 4]]), memory)
    padded = exported.decoder_in_engine(np.array([[boundary, 3, 4, 5, boundary, 1]]), memory)
    np.testing.assert_array_equal(padded[:, :3], row)


def test_a_batch_changes_no_stream(exported):
    """Two streams as one batch, over several chunks: the bits of each alone."""
    batch, first, second = ({}, {}, {})
    for seed, (num_steps, extra_frames) in enumerate(CHUNKS[:4]):
        pair = [exported.features(num_steps, extra_frames, 100 * seed + i) for i in (1, 2)]
        states = batch or exported.initial_states(2)
        together = exported.in_engine(np.concatenate(pair), states)
        alone = [exported.in_engine(f, s) for f, s in zip(pair, (first, second), strict=True)]
        for name, value in together.items():
            for stream in (0, 1):
                np.testing.assert_array_equal(value[stream], alone[stream][name][0], err_msg=name)
        batch, first, second = following(together), following(alone[0]), following(alone[1])


def test_chunk_by_chunk_is_the_masked_forward_pass_of_training(exported):
    """The engine over chunks, against the whole utterance under the chunk mask in torch."""
    chunk_steps, num_chunks = 4, 5
    subsampling = exported.model.encoder.subsampling
    features = exported.features(chunk_steps * num_chunks, 0, seed=9)
    states, found = exported.initial_states(), []
    for chunk in range(num_chunks):
        start = chunk * chunk_steps * subsampling.rate
        window = chunk_steps * subsampling.rate + subsampling.overlap_frames
        outputs = exported.in_engine(features[:, start : start + window].copy(), states)
        states = following(outputs)
        found.append(outputs["encoder_out"])
    with torch.no_grad():
        num_frames = torch.tensor([features.shape[1]])
        expected, _ = exported.model.encoder(torch.from_numpy(features), num_frames, chunk_steps)
    assert largest_difference(np.concatenate(found, axis=1), expected.numpy()) <= FLIPPED


def test_metadata_tell_what_a_stream_needs(exported):
    metadata = exported.file.metadata
    encoder = exported.config.model.encoder
    assert metadata == json.loads((exported.onnx_folder / "model.json").read_text())
    assert metadata["name"] == exported.config.name
    assert metadata["card"] == {"licence": "none"}
    assert len(metadata["tokens"]) == exported.model.num_tokens
    assert metadata["streaming"]["subsampling"] == encoder.subsampling
    assert metadata["streaming"]["left_context_steps"] == encoder.left_context
    assert metadata["features"] == vars(exported.config.features)


def test_the_test_vector_is_kept_and_right(exported):
    differences = vector_differences(exported.file)
    assert {one.output for one in differences} == {"encoder_out", "ctc_log_probs"}
    assert max(one.largest for one in differences) < FLIPPED
    assert max(one.share for one in differences) < LARGEST_SHARE / 5


def test_the_file_is_much_smaller_than_float_weights(voice):
    """Everything counted: graphs, tokens, metadata, test vector."""
    float_bytes = 4 * sum(parameter.numel() for parameter in voice.model.parameters())
    file_bytes = voice.model_file.stat().st_size
    assert float_bytes > 3_000_000 * 4  # of the size that the recipe promises
    assert float_bytes / file_bytes >= RATIO, voice.file.sections


def test_compiling_again_gives_the_same_bytes(exported, tmp_path):
    compile_folder(exported.onnx_folder, tmp_path / "again.hb")
    assert (tmp_path / "again.hb").read_bytes() == exported.model_file.read_bytes()


@pytest.mark.parametrize("missing", ["config.yaml", "tokenizer.model", "weights.safetensors"])
def test_a_folder_that_is_no_checkpoint(mixed, tmp_path, missing):
    for path in mixed.checkpoint.iterdir():
        if path.name != missing:
            (tmp_path / path.name).symlink_to(path.resolve())
    with pytest.raises(ConfigError, match=f"no checkpoint: {missing} is missing"):
        export(tmp_path, tmp_path / "onnx")
    assert not (tmp_path / "onnx").exists()


FILES = ["encoder.onnx", "decoder.onnx", "model.json", "test_vector.npz"]


def folder_without(exported: Exported, folder: Path, name: str) -> Path:
    for path in exported.onnx_folder.iterdir():
        if path.name != name:
            (folder / path.name).symlink_to(path.resolve())
    return folder


@pytest.mark.parametrize("missing", FILES)
def test_an_incomplete_folder_is_not_compiled(mixed, tmp_path, missing):
    folder = folder_without(mixed, tmp_path, missing)
    with pytest.raises(UsageError, match=re.escape(missing)):
        compile_folder(folder, tmp_path / "model.hb")
    assert not (tmp_path / "model.hb").exists()


@pytest.mark.parametrize("content", [b"", b"PK\3\4none", b"{}", b"\x93NUMPY"], ids=repr)
@pytest.mark.parametrize("damaged", FILES)
def test_a_damaged_folder_is_not_compiled(mixed, tmp_path, damaged, content):
    folder = folder_without(mixed, tmp_path, damaged)
    (folder / damaged).write_bytes(content)
    with pytest.raises((UsageError, ModelFileError)) as caught:
        compile_folder(folder, tmp_path / "model.hb")
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "model.hb").exists()


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"graphs": []}, "lists no graphs"),
        ({"graphs": None}, "lists no graphs"),
        ({"graphs": "encoder"}, "lists no graphs"),
        ({"graphs": [["encoder"]]}, "no name of a graph"),
        ({"graphs": ["../encoder"]}, "no name of a graph"),
        ({"graphs": ["encoder", "x" * 40]}, "no name of a graph"),
        ({"graphs": ["encoder"]}, "decoder"),
        ({"family": ["u2"]}, "names no family"),
        ({"card": {"result": math.nan}}, "NaN"),
        ({"features": 3}, "features"),
    ],
    ids=str,
)
def test_odd_metadata_are_one_line(mixed, tmp_path, change, named):
    folder = folder_without(mixed, tmp_path, "model.json")
    metadata = json.loads((mixed.onnx_folder / "model.json").read_text())
    (folder / "model.json").write_text(json.dumps(metadata | change))
    assert_one_line(folder, named)


def assert_one_line(folder: Path, named: str) -> None:
    path = folder / "model.hb"
    with pytest.raises((UsageError, ModelFileError, InputError), match=named) as caught:
        compile_folder(folder, path)
    assert "\n" not in str(caught.value)
    assert not path.exists()


@pytest.mark.parametrize("content", ["[" * 100_000, "[]", "null", "NaN"], ids=len)
def test_metadata_that_are_none_are_one_line(mixed, tmp_path, content):
    folder = folder_without(mixed, tmp_path, "model.json")
    (folder / "model.json").write_text(content)
    assert_one_line(folder, "model.json")


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (lambda arrays: {}, "none of the inputs"),
        (lambda arrays: {"encoder_out": arrays["encoder_out"]}, "none of the inputs"),
        (lambda arrays: arrays | {"features": arrays["features"].astype(np.float64)}, "float64"),
        (lambda arrays: arrays | {"features": arrays["features"][0]}, "features"),
        (lambda arrays: arrays | {"features": arrays["features"] * np.nan}, "NaN"),
        (lambda arrays: arrays | {"another": arrays["encoder_out"]}, "another"),
        (lambda arrays: arrays | {"encoder_out": arrays["encoder_out"][:, 1:]}, "encoder_out"),
        (lambda arrays: arrays | {"encoder_out": -arrays["encoder_out"]}, "another encoder_out"),
        (lambda arrays: arrays | {"encoder_out": arrays["encoder_out"] * np.nan}, "another"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_test_vector_that_the_graph_does_not_give_is_not_compiled(mixed, tmp_path, change, named):
    folder = folder_without(mixed, tmp_path, "test_vector.npz")
    arrays = dict(np.load(mixed.onnx_folder / "test_vector.npz"))
    np.savez(folder / "test_vector.npz", **change(arrays))
    assert_one_line(folder, named)


def test_random_damage_is_refused_or_compiles(mixed, tmp_path):
    """Bytes of each file changed at random places: no other exception comes out."""
    random = np.random.default_rng(3)
    for name in FILES:
        folder = tmp_path / name
        folder.mkdir()
        folder_without(mixed, folder, name)
        content = (mixed.onnx_folder / name).read_bytes()
        for _ in range(12):
            damaged = bytearray(content)
            for place in random.integers(min(len(content), 4000), size=3):
                damaged[place] = random.integers(256)
            (folder / name).write_bytes(damaged)
            with suppress(UsageError, ModelFileError, InputError):
                compile_folder(folder, folder / "model.hb")


@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_an_interrupted_compilation_leaves_the_old_file(mixed, tmp_path, monkeypatch, call):
    path = tmp_path / "model.hb"
    path.write_bytes(b"the old model")

    def fail(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, call, fail)
    with pytest.raises(OSError, match="No space left"):
        compile_folder(mixed.onnx_folder, path)
    assert path.read_bytes() == b"the old model"
    assert [p.name for p in tmp_path.iterdir()] == ["model.hb"]


def test_a_new_file_replaces_the_old_under_open_readers(mixed, tmp_path):
    path = tmp_path / "model.hb"
    path.write_bytes(mixed.model_file.read_bytes())
    reader = ModelFile(path)
    compile_folder(mixed.onnx_folder, path)
    features = mixed.features(4, 0, seed=5)
    old, new = Session(reader).run({"features": features}), mixed.in_engine(features, {})
    np.testing.assert_array_equal(np.asarray(old["encoder_out"].view()), new["encoder_out"])
