"""Damaged and malicious model files: one clear error each, never a crash."""

import dataclasses
import struct
import zlib

import numpy as np
import pytest
from onnx_graphs import compiled
from streaming_graph import D, streaming_model

from halfbyte.engine import ModelFile, Session, State
from halfbyte.errors import HalfbyteError, ModelFileError
from halfbyte.export.graph_ir import Graph, Input, Node, PackedCodes, StateValue, read_onnx
from halfbyte.export.graph_section import Weights, graph_section
from halfbyte.export.hb_writer import container
from halfbyte.export.lower import lower
from halfbyte.quant.codecs import CODECS


@pytest.fixture(scope="module")
def good(tmp_path_factory):
    directory = tmp_path_factory.mktemp("good")
    return compiled(streaming_model(), directory, "encoder").path.read_bytes()


def open_bytes(directory, content):
    path = directory / "hostile.hb"
    path.write_bytes(content)
    return ModelFile(path)


def assert_refused(directory, content, match=None):
    with pytest.raises(ModelFileError, match=match) as caught:
        open_bytes(directory, content)
    assert "\n" not in str(caught.value)


def with_header(content, **fields):
    """The file with changed header fields and a right checksum."""
    names = ("magic", "version", "num_sections", "num_bytes", "directory_crc")
    values = dict(zip(names, struct.unpack_from("<8sIIQI", content), strict=True)) | fields
    header = struct.pack("<8sIIQI32x", *values.values())
    return header + struct.pack("<I", zlib.crc32(header)) + content[64:]


def with_entry(content, index, **fields):
    """The file with a changed directory entry and right checksums."""
    count = struct.unpack_from("<I", content, 12)[0]
    at = 64 + 64 * index
    names = ("name", "offset", "num_bytes", "crc", "zero")
    values = dict(zip(names, struct.unpack_from("<40sQQII", content, at), strict=True)) | fields
    content = content[:at] + struct.pack("<40sQQII", *values.values()) + content[at + 64 :]
    return with_header(content, directory_crc=zlib.crc32(content[64 : 64 + 64 * count]))


def test_every_truncation_is_refused(good, tmp_path):
    for size in [*range(0, 300), *range(300, len(good), 61), len(good) - 1]:
        assert_refused(tmp_path, good[:size])


def test_every_flipped_byte_is_refused(good, tmp_path):
    directory_end = 64 + 3 * 64
    for at in [*range(directory_end + 64), *range(directory_end + 64, len(good), 7)]:
        mask = 1 << at % 8
        assert_refused(tmp_path, good[:at] + bytes([good[at] ^ mask]) + good[at + 1 :])


def test_trailing_bytes_are_refused(good, tmp_path):
    assert_refused(tmp_path, good + b"\0", "its header says")
    assert_refused(tmp_path, with_header(good + bytes(64), num_bytes=len(good) + 64), "unused")


def test_wrong_headers_are_refused(good, tmp_path):
    assert_refused(tmp_path, with_header(good, version=3), "version 3")
    anew = "version 1, this halfbyte reads version 2; compile it anew .* halfbyte compile"
    assert_refused(tmp_path, with_header(good, version=1), anew)
    assert_refused(tmp_path, with_header(good, magic=b"OTHERONE"), "HALFBYTE")
    assert_refused(tmp_path, with_header(good, num_sections=0), "0 sections")
    assert_refused(tmp_path, with_header(good, num_sections=2**32 - 1), "sections")
    assert_refused(tmp_path, with_header(good, num_bytes=2**64 - 1), "bytes")


@pytest.mark.parametrize(
    "fields",
    [
        {"offset": 2**64 - 64},
        {"offset": 2**63},
        {"offset": 0},
        {"offset": 65},
        {"num_bytes": 2**64 - 1},
        {"num_bytes": 2**40},
        {"name": b""},
        {"name": b"meta"},
        {"offset": 1 << 62, "num_bytes": 1 << 62},
    ],
)
def test_sections_outside_of_the_file_are_refused(good, tmp_path, fields):
    assert_refused(tmp_path, with_entry(good, 1, **fields))


def test_missing_sections_are_refused(good, tmp_path):
    for index, name in enumerate([b"meta", b"graph:encoder", b"weights"]):
        assert_refused(tmp_path, with_entry(good, index, name=b"other:" + name), "has no")


def test_no_file_folder_and_other_content_are_refused(tmp_path):
    with pytest.raises(ModelFileError, match="cannot be opened"):
        ModelFile(tmp_path / "none.hb")
    with pytest.raises(ModelFileError, match="regular file"):
        ModelFile(tmp_path)
    assert_refused(tmp_path, b"", "fewer than a header")
    assert_refused(tmp_path, b"RIFF" * 100, "not a model file")


def test_metadata_that_is_no_object_is_refused(tmp_path):
    for meta in (b"", b"[]", b"{", b"\xff"):
        section = graph_section(small_graph(), weights := Weights())
        parts = {"meta": meta, "graph:g": section, "weights": bytes(weights.content)}
        assert_refused(tmp_path, container(parts), "meta")


def small_graph(nodes=None, constants=None, **fields):
    """y = x + c, unless told otherwise."""
    graph = Graph(
        "g",
        [Node("Add", ["x", "c"], ["y"])] if nodes is None else nodes,
        {"c": np.float32([1, 2.1])} | (constants or {}),
        [Input("x", np.dtype(np.float32), ("T", 2))],
        {"y": "y"},
        [],
    )
    return dataclasses.replace(graph, **fields)


def file_of(section, weights):
    return container({"meta": b"{}", "graph:g": section, "weights": bytes(weights)})


def file_of_graph(graph):
    weights = Weights()
    return file_of(graph_section(graph, weights), weights.content)


CODES = PackedCodes(np.zeros((2, 2), np.int8), CODECS["uniform4"])
HOSTILE_GRAPHS = {
    "cycle": ([Node("Add", ["x", "b"], ["a"]), Node("Add", ["a", "x"], ["b"])], "before it is"),
    "reads_itself": ([Node("Add", ["x", "y"], ["y"])], "before it is"),
    "never_written": ([Node("Add", ["x", "c"], ["z"])], "before it is"),
    "written_twice": ([Node("Neg", ["x"], ["y"]), Node("Abs", ["x"], ["y"])], "twice"),
    "writes_an_input": ([Node("Neg", ["c"], ["x"]), Node("Abs", ["c"], ["y"])], "twice"),
    "unknown_operator": ([Node("Fly", ["x"], ["y"])], "operator 'Fly'"),
    "float_and_int": ([Node("Add", ["x", "i"], ["y"])], "Add does not take int64"),
    "too_few": ([Node("Add", ["x"], ["y"])], "Add does not take none"),
    "too_many": ([Node("Neg", ["x", "x"], ["y"])], "too many inputs"),
    "too_many_outputs": ([Node("Neg", ["x"], ["y", "z"])], "2 outputs"),
    "no_outputs": ([Node("Neg", ["x"], ["y"]), Node("Neg", ["x"], [])], "0 outputs"),
    "codes_as_floats": ([Node("Add", ["x", "p"], ["y"])], "does not take packed4"),
    "floats_as_codes": ([Node("Linear", ["x", "x", "c", "c"], ["y"])], "does not take float32"),
    "codes_as_output": ([], "codes as an output"),
    "cast_to_nothing": ([Node("Cast", ["x"], ["y"], {"to": 77})], "output type"),
}


@pytest.mark.parametrize("case", HOSTILE_GRAPHS)
def test_hostile_graphs_are_refused(case, tmp_path):
    nodes, message = HOSTILE_GRAPHS[case]
    graph = small_graph(nodes, {"i": np.int64([1]), "p": CODES})
    if case == "codes_as_output":
        graph.outputs = {"y": "p"}
    assert_refused(tmp_path, file_of_graph(graph), message)


def test_a_state_that_does_not_fit_its_input_is_refused(tmp_path):
    state = StateValue("x", "y", np.ones((2, 3), np.float32))
    assert_refused(tmp_path, file_of_graph(small_graph(states=[state])), "does not fit")


def test_a_state_without_axes_repeats_no_row(tmp_path):
    state = StateValue("x", "y", np.ones((2, 2), np.float32))
    section = graph_section(small_graph(states=[state]), weights := Weights())
    whole = struct.pack("<IqqI", 2, 2, 2, 2)  # rank, axes, row
    assert_refused(tmp_path, file_of(section.replace(whole, struct.pack("<II", 0, 2)), b""), "axes")
    other = section.replace(whole, struct.pack("<IqqI", 2, 2, 3, 2))
    assert_refused(tmp_path, file_of(other, weights.content), "bytes do not fit")
    unknown = section.replace(whole, struct.pack("<IqqI", 2, 2, 2, 3))
    assert_refused(tmp_path, file_of(unknown, weights.content), "out of range")


def test_a_huge_state_is_refused(tmp_path):
    state = StateValue("x", "y", np.zeros((9, 2), np.float32))
    section = graph_section(small_graph(states=[state]), weights := Weights())
    section = section.replace(struct.pack("<qq", 9, 2), struct.pack("<qq", 2**28, 2))
    with pytest.raises(HalfbyteError, match="at most 1073741824"):
        State(open_bytes(tmp_path, file_of(section, weights.content)), "g")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (struct.pack("<qq", 0, 8), struct.pack("<qq", 64, 8), "outside"),
        (struct.pack("<qq", 0, 8), struct.pack("<qq", -64, 8), "outside"),
        (struct.pack("<qq", 0, 8), struct.pack("<qq", 1, 8), "outside"),
        (struct.pack("<qq", 0, 8), struct.pack("<qq", 0, -1), "outside"),
        (struct.pack("<Iqq", 1, 2, 0), struct.pack("<Iqq", 1, 1, 0), "do not fit"),
        (struct.pack("<Iqq", 1, 2, 0), struct.pack("<Iqq", 1, -2, 0), "impossible size"),
        (struct.pack("<Iqq", 1, 2, 0), struct.pack("<Iqq", 1, 2**62, 0), "impossible size"),
        (struct.pack("<Iqq", 1, 2, 0), struct.pack("<Iqq", 99, 2, 0), "more than 8 axes"),
        (struct.pack("<qq", -3, 2), struct.pack("<qq", -300, 2), "impossible size"),
        (struct.pack("<qq", -3, 2), struct.pack("<qq", -(2**63), 2), "impossible size"),
    ],
)
def test_tensors_of_wrong_places_and_sizes_are_refused(tmp_path, old, new, message):
    section = graph_section(small_graph(), weights := Weights())
    if old not in section:
        axis = struct.pack("<q", -1 - _string_index(section, b"T"))
        old = old.replace(struct.pack("<q", -3), axis)
    assert section.count(old) == 1
    assert_refused(tmp_path, file_of(section.replace(old, new), weights.content), message)


def _string_index(section, text):
    at, count = 4, struct.unpack_from("<I", section)[0]
    for index in range(count):
        size = struct.unpack_from("<I", section, at)[0]
        if section[at + 4 : at + 4 + size] == text:
            return index
        at += 4 + size
    raise AssertionError(text)


def test_wrong_shapes_inside_a_graph_are_refused_when_a_plan_is_made(tmp_path):
    nodes = [Node("Reshape", ["x", "i"], ["y"])]
    model_file = open_bytes(tmp_path, file_of_graph(small_graph(nodes, {"i": np.int64([7, 7])})))
    with pytest.raises(HalfbyteError, match="number of elements"):
        Session(model_file, "g").run({"x": np.zeros((3, 2), np.float32)})


def test_mutated_graphs_never_crash(tmp_path):
    """Random bytes change under right checksums: refused, or run as far as it goes."""
    graph = read_onnx(streaming_model(), "g")
    lower(graph)
    section = graph_section(graph, weights := Weights())
    rng = np.random.default_rng(11)
    num_opened, messages = 0, []
    for _ in range(1500):
        mutated = bytearray(section)
        for at in rng.integers(0, len(section), rng.integers(1, 4)):
            mutated[at] = rng.choice([0, 1, 2, 5, 0x7F, 0xFF, rng.integers(256)])
        try:
            model_file = open_bytes(tmp_path, file_of(bytes(mutated), weights.content))
            num_opened += 1
            features = np.ones((1, 5, D), np.float32)
            Session(model_file, "g").run({"features": features}, State(model_file, "g"))
        except HalfbyteError as error:
            messages.append(str(error))
    assert not any("\n" in message for message in messages)
    assert num_opened > 50
