"""ONNX files to one model file (.hb)."""

import json
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import onnx
from google.protobuf.message import DecodeError

from halfbyte.engine import ModelFile, operators
from halfbyte.engine.test_vector import vector_differences
from halfbyte.errors import HalfbyteError, UsageError
from halfbyte.export.graph_ir import Array, Graph, read_onnx
from halfbyte.export.graph_section import Weights, graph_section
from halfbyte.export.hb_writer import container, tensor_section
from halfbyte.export.lower import lower
from halfbyte.export.onnx_check import check_onnx
from halfbyte.files import write_whole
from halfbyte.listen.engine_model import EngineModel
from halfbyte.listen.settings import families

# Of an output's root mean square. Codes that flip in rounding come to a few hundredths; the outputs
# of two models have nothing in common and come to more than 1.
LARGEST_SHARE = 0.25


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
        UsageError: a file that is no ONNX; a graph that the engine cannot run, with the operator's
            name; constants that are NaN; outputs that are not those of the test vector.
    """
    weights = Weights()
    sections = {"meta": _json(metadata)}
    for name, source in graphs.items():
        model = source if isinstance(source, onnx.ModelProto) else read_graph(source)
        sections[f"graph:{name}"] = _section(model, name, weights)
    sections["weights"] = bytes(weights.content)
    if test_vector is not None:
        sections["test"] = tensor_section(test_vector)
    content = container(sections)
    _check_file(content, Path(path).name)
    write_whole(Path(path), content)


def _section(model: onnx.ModelProto, name: str, weights: Weights) -> bytes:
    try:
        check_onnx(model, name)
        graph = read_onnx(model, name)
        lower(graph)
        _check_operators(graph)
        _check_constants(graph)
        return graph_section(graph, weights)
    except HalfbyteError:
        raise
    except Exception as error:  # whatever ONNX's own code and our rules make of what is no graph
        problem = f"{type(error).__name__}: {' '.join(str(error).split())}"
        raise UsageError(f"graph {name} cannot be read ({problem}); export it again") from error


def _check_file(content: bytes, name: str) -> None:
    """Opens the file, as what its family hears with, and runs its test vector.

    Raises:
        ModelFileError: the engine cannot open it, or it lacks what the family needs.
        UsageError: it gives other outputs than the vector has.
    """
    with TemporaryDirectory() as folder:
        path = Path(folder) / name
        path.write_bytes(content)
        try:
            file = ModelFile(path)
            if file.metadata.get("family") in families():  # else whoever has its pipeline checks it
                EngineModel(file)
            differences = vector_differences(file)
        except HalfbyteError as error:
            raise type(error)(str(error).replace(f"{folder}/", "")) from None
    for difference in differences:
        if not difference.share <= LARGEST_SHARE:  # nor where it is NaN
            raise UsageError(
                f"{name}: the compiled graph gives another {difference.output} than the test "
                f"vector has: they differ by {difference.largest:.3g} at most; export it again"
            )


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


def _check_constants(graph: Graph) -> None:
    arrays = graph.constants | {state.name: state.initial for state in graph.states}
    for name, array in arrays.items():
        if isinstance(array, np.ndarray) and array.dtype.kind == "f" and np.isnan(array).any():
            raise UsageError(f"graph {graph.name}: {name} holds NaN; train or export it again")


def _check_operators(graph: Graph) -> None:
    known = operators()
    for node in graph.nodes:
        if node.op not in known:
            raise UsageError(
                f"graph {graph.name}: operator {node.op} ({node.outputs[0]}) has no kernel in the "
                "engine; halfbyte.engine.operators() names what it runs"
            )
