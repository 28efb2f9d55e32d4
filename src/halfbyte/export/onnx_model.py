"""From a checkpoint to a folder of ONNX files that ONNX Runtime runs as they are."""

import io
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from halfbyte.errors import UsageError
from halfbyte.export.compile import compile_model, read_graph
from halfbyte.export.functions import functions
from halfbyte.export.graph_ir import Array
from halfbyte.export.graphs import trace
from halfbyte.families.family import GraphSpec
from halfbyte.files import write_together
from halfbyte.ops.operator import DOMAIN
from halfbyte.quant.codecs import codec_of
from halfbyte.train.checkpoint import family_of, inputs_of, load_checkpoint
from halfbyte.train.config import AnyConfig

METADATA, TEST_VECTOR = "model.json", "test_vector.npz"
T = TypeVar("T")
GRAPH_NAME = re.compile(r"[\w-]{1,32}", re.ASCII)


def graph_file(name: str) -> str:
    """The ONNX file of a graph."""
    return f"{name}.onnx"


def export(checkpoint: Path, folder: Path, card: dict[str, Any] | None = None) -> None:
    """Write an ONNX file of each graph, model.json and a test vector.

    Args:
        checkpoint: folder of a trained model.
        folder: where the files go; made if needed.
        card: what the model card says (licence, attribution, results).
    """
    config, vocabulary, model = load_checkpoint(checkpoint)
    graphs = family_of(config).graphs(model)
    metadata = describe(config, model, vocabulary, card or {})
    contents = {
        graph_file(name): finish(trace(spec)).SerializeToString() for name, spec in graphs.items()
    }
    contents[METADATA] = json.dumps(metadata, ensure_ascii=False, indent=1).encode()
    contents[TEST_VECTOR] = _test_vector(next(iter(graphs.values())))
    write_together(folder, contents)


def finish(traced: onnx.ModelProto) -> onnx.ModelProto:
    """Add the bodies of the quantised layers and pack 4-bit codes; checked by onnx."""
    used = {node.op_type for node in traced.graph.node if node.domain == DOMAIN}
    bodies = {function.name: function for function in functions()}
    traced.functions.extend(bodies[name] for name in sorted(used))
    del traced.opset_import[:]
    traced.opset_import.extend([helper.make_opsetid("", 21), helper.make_opsetid(DOMAIN, 1)])
    codecs = {}
    for node in traced.graph.node:
        attributes = {a.name: helper.get_attribute_value(a) for a in node.attribute}
        if node.domain == DOMAIN and (codec := codec_of(attributes)) is not None:
            codecs[node.input[1]] = codec
    for initializer in traced.graph.initializer:
        if initializer.name in codecs:
            initializer.CopyFrom(_in_type(initializer, codecs[initializer.name].onnx_type))
    onnx.checker.check_model(traced)
    return traced


def _in_type(codes: TensorProto, onnx_type: str) -> TensorProto:
    dtype = helper.tensor_dtype_to_np_dtype(TensorProto.DataType.Value(onnx_type))
    return numpy_helper.from_array(numpy_helper.to_array(codes).astype(dtype), codes.name)


def describe(
    config: AnyConfig, model: Any, vocabulary: Any, card: dict[str, Any]
) -> dict[str, Any]:
    """The metadata of a model file (docs/model-file.md)."""
    family = family_of(config)
    return {
        "name": config.name,
        "family": config.family,
        "features": vars(config.features),
        "graphs": list(family.graphs(model)),
        **family.metadata(model, inputs_of(config, vocabulary)),
        "card": card,
    }


def _test_vector(spec: GraphSpec) -> bytes:
    """Inputs of a graph, and what the training graph makes of them."""
    outputs = spec.run(spec.test)
    tensors = spec.test | {name: outputs[name] for name in spec.outputs}
    file = io.BytesIO()
    np.savez(file, allow_pickle=False, **{name: t.numpy() for name, t in tensors.items()})
    return file.getvalue()


def compile_folder(folder: Path, path: Path) -> None:
    """Write the model file of an exported folder.

    Raises:
        UsageError: the folder lacks a file, or holds a damaged one, or a graph that the engine
            cannot run.
        ModelFileError: the metadata lack what a stream needs.
    """
    for name in (METADATA, TEST_VECTOR):
        _raise_if_missing(folder, name)
    metadata, arrays = _read(folder, METADATA, _metadata), _read(folder, TEST_VECTOR, _arrays)
    for name in metadata["graphs"]:
        _raise_if_missing(folder, graph_file(name))
    models = {name: read_graph(folder / graph_file(name)) for name in metadata["graphs"]}
    inputs = {value.name for value in next(iter(models.values())).graph.input}
    if inputs.isdisjoint(arrays):
        raise UsageError(
            f"{folder / TEST_VECTOR} has none of the inputs {', '.join(sorted(inputs))}; "
            "run halfbyte export"
        )
    vector: dict[str, Array] = {
        f"{'input' if name in inputs else 'output'}.{name}": array for name, array in arrays.items()
    }
    compile_model(models, metadata, path, vector)


def _read(folder: Path, name: str, read: Callable[[Path], T]) -> T:
    try:
        return read(folder / name)
    except Exception as error:  # readers of damaged files raise a dozen kinds
        problem = " ".join(str(error).split())
        raise UsageError(
            f"{folder} holds a damaged {name} ({problem}); run halfbyte export"
        ) from error


def _metadata(path: Path) -> dict[str, Any]:
    """Metadata that name a family and graphs; their names fit into a model file."""
    metadata = json.loads(path.read_text(encoding="utf-8"), parse_constant=_refuse_constant)
    if not isinstance(metadata, dict) or not isinstance(metadata.get("family"), str):
        raise ValueError("it names no family")
    graphs = metadata.get("graphs")
    if not isinstance(graphs, list) or not graphs:
        raise ValueError("it lists no graphs")
    for name in graphs:
        if not isinstance(name, str) or not GRAPH_NAME.fullmatch(name):
            raise ValueError(f"{name!r} is no name of a graph")
    return metadata


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no number of JSON")


def _arrays(path: Path) -> dict[str, Array]:
    with path.open("rb") as file:
        loaded = np.load(file)
        arrays = dict(loaded) if isinstance(loaded, np.lib.npyio.NpzFile) else {}
    for name, array in arrays.items():
        if array.dtype not in (np.float32, np.int64, np.bool_):
            raise ValueError(f"{name} is {array.dtype}, not float32, int64 or bool")
    return arrays


def _raise_if_missing(folder: Path, name: str) -> None:
    if not (folder / name).is_file():
        raise UsageError(f"{folder} is no exported model: {name} is missing; run halfbyte export")
