"""ONNX files to one model file (.hb)."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import onnx
from google.protobuf.message import DecodeError

from halfbyte.engine import operators
from halfbyte.errors import UsageError
from halfbyte.export.graph_ir import Array, Graph, read_onnx
from halfbyte.export.graph_section import Weights, graph_section
from halfbyte.export.hb_writer import container, tensor_section
from halfbyte.export.lower import lower
from halfbyte.files import write_whole


def compile_model(
    graphs: Mapping[str, Path | onnx.ModelProto],
    metadata: Mapping[str, Any],
    path: Path,
    test_vector: Mapping[str, Array] | None = None,
) -> None:
    """Writes a model file from ONNX graphs.

    Quantised layers, nodes of the domain `halfbyte`, keep their integer codes, packed as the
    kernels read them; other operators are brought into the engine's normal forms. The same graphs,
    metadata and test vector always give the same bytes.

    Args:
        graphs: name ("encoder", "decoder", ...) -> ONNX file or model, opset 21.
        metadata: what the section `meta` holds; must be JSON.
        path: the file to write. It is replaced at once or, on an error, left as it was.
        test_vector: named arrays, float32, int64 or bool, such as `input.features` and
            `output.encoder_out`, to be checked on the device.

    Raises:
        UsageError: a file that is no ONNX, or a graph that the engine cannot run, with the
            operator's name.
    """
    weights = Weights()
    sections = {"meta": _json(metadata)}
    for name, source in graphs.items():
        model = source if isinstance(source, onnx.ModelProto) else read_graph(source)
        graph = read_onnx(model, name)
        lower(graph)
        _check_operators(graph)
        sections[f"graph:{name}"] = graph_section(graph, weights)
    sections["weights"] = bytes(weights.content)
    if test_vector is not None:
        sections["test"] = tensor_section(test_vector)
    write_whole(Path(path), container(sections))


def _json(metadata: Mapping[str, Any]) -> bytes:
    text = json.dumps(metadata, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return text.encode()


def read_graph(path: Path) -> onnx.ModelProto:
    """An ONNX file.

    Raises:
        UsageError: it cannot be read, or holds no graph.
    """
    try:
        model = onnx.load(path)
    except (OSError, DecodeError) as error:
        raise UsageError(f"cannot read ONNX file {path}: {error}") from error
    if not model.graph.output:  # no bytes at all are a valid message, too
        raise UsageError(f"ONNX file {path} holds no graph with outputs; export it again")
    return model


def _check_operators(graph: Graph) -> None:
    known = operators()
    for node in graph.nodes:
        if node.op not in known:
            raise UsageError(
                f"graph {graph.name}: operator {node.op} ({node.outputs[0]}) has no kernel in the "
                "engine; halfbyte.engine.operators() names what it runs"
            )
