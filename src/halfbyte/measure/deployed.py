"""Whether the file that is deployed holds what was trained, layer by layer."""

import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from torch import nn

from halfbyte.engine import ModelFile
from halfbyte.engine.model_file import Layer
from halfbyte.errors import ConfigError, ModelFileError
from halfbyte.export.fuse_linear import JOINED
from halfbyte.export.onnx_model import compile_folder, export
from halfbyte.measure.deployed_integer import raise_if_other_operators
from halfbyte.ops.int_linear import IntegerLinear
from halfbyte.ops.native import NativeLayer, native_layers
from halfbyte.quant.quantizer import Quantized
from halfbyte.train.checkpoint import WEIGHTS, family_of, load_checkpoint

_CODES = ".codes"


@dataclass(frozen=True)
class LayerCheck:
    """One quantised layer of a trained model beside what a model file holds of it.

    Attributes:
        name: of the layer.
        number_format: such as "w4a8".
        num_weights: N · K.
        num_bytes: of codes, scales and bias in the file.
        num_codes: codes that differ.
        num_scales: scales that differ, static ones of the input too; of an integer-only layer,
            int32 biases.
    """

    name: str
    number_format: str
    num_weights: int
    num_bytes: int
    num_codes: int
    num_scales: int

    @property
    def bits_per_weight(self) -> float:
        """Stored bits of the layer, scales and bias counted, for each weight."""
        return 8 * self.num_bytes / self.num_weights

    @property
    def is_equal(self) -> bool:
        """Whether codes and scales are those of training."""
        return self.num_codes == self.num_scales == 0


def checkpoint_of(run: Path) -> Path:
    """The checkpoint of a run, its `result`, or the folder itself where it is a checkpoint.

    Raises:
        ConfigError: it is neither.
    """
    for folder in (run, run / "result"):
        if (folder / WEIGHTS).is_file():
            return folder
    raise ConfigError(f"{run} is neither a checkpoint nor a run that has ended: no {WEIGHTS}")


def verify(run: Path, model_file: Path | None = None) -> list[LayerCheck]:
    """Compare each quantised layer of a trained model with a model file, on its codes.

    Args:
        run: of `halfbyte train`, or a checkpoint folder.
        model_file: the deployed file; exported and compiled anew if not given.

    Raises:
        ConfigError: there is no checkpoint.
        ModelFileError: the file lacks a layer, has one more, or holds one of another shape; or, of
            an integer-only model, a norm, a table or another operator that was not trained.
    """
    checkpoint = checkpoint_of(run)
    config, _, model = load_checkpoint(checkpoint)
    layers = native_layers(model)
    graphs = family_of(config).graphs(model)
    with tempfile.TemporaryDirectory() as folder:
        if model_file is None:
            export(checkpoint, Path(folder) / "onnx")
            model_file = Path(folder) / "model.hb"
            compile_folder(Path(folder) / "onnx", model_file)
        file = ModelFile(model_file)
        names = {name: _layer_names(spec.module, model) for name, spec in graphs.items()}
        _raise_if_more(file, layers, names)
        places = _places(file, layers, names)
        for name in layers:
            if name not in places:
                raise ModelFileError(f"{model_file} has no layer {name}; is it of this run?")
        raise_if_other_operators(model, file)
        return [_check(name, layer, places[name]) for name, layer in layers.items()]


def raise_if_different(checks: list[LayerCheck]) -> None:
    """Refuse a file that is not the trained model.

    Raises:
        ModelFileError: a layer differs, with its name and the number of codes.
    """
    for check in checks:
        if not check.is_equal:
            raise ModelFileError(
                f"layer {check.name} is not the trained one: {check.num_codes} of "
                f"{check.num_weights} codes and {check.num_scales} scales differ; compile it again"
            )


@dataclass(frozen=True)
class _Place:
    """Rows [first, first + N) of a tensor of codes, of which a layer has its share of the bytes."""

    file: ModelFile
    graph: str
    tensor: Layer
    first: int


Names = dict[str, dict[str, str]]  # graph -> name of a layer's codes in it -> name in the model


def _layer_names(module: nn.Module, model: nn.Module) -> dict[str, str]:
    """Names of codes in a graph that is traced from a part of a model, each with its layer's."""
    by_layer = {id(layer): name for name, layer in model.named_modules()}
    parts = ((own, by_layer.get(id(layer))) for own, layer in module.named_modules())
    return {f"{own}{_CODES}": name for own, name in parts if name is not None}


def _places(file: ModelFile, layers: dict[str, NativeLayer], names: Names) -> dict[str, _Place]:
    """Where a file has each layer; layers over the same input lie joined in one tensor."""
    places = {}
    for graph in file.graph_names:
        for tensor in file.layers(graph):
            first = 0
            for part in tensor.name.split(JOINED):
                name = names.get(graph, {}).get(part, "")
                if name in layers:
                    places[name] = _Place(file, graph, tensor, first)
                    first += layers[name].weight.shape[0]
    return places


def _raise_if_more(file: ModelFile, layers: dict[str, NativeLayer], names: Names) -> None:
    """Refuse a file with a quantised layer that was not trained as one."""
    for graph in file.graph_names:
        for part in (p for tensor in file.layers(graph) for p in tensor.name.split(JOINED)):
            name = names.get(graph, {}).get(part, part)
            if part.endswith(_CODES) and name not in layers:
                raise ModelFileError(
                    f"{file.path}: layer {name} is quantised and was not trained so; is the file "
                    "of this run?"
                )


def _check(name: str, layer: NativeLayer, place: _Place) -> LayerCheck:
    quantized = layer.quantized_weight()
    n, k = quantized.codes.shape
    tensor = place.tensor
    packed = place.file.constant(place.graph, tensor.name)
    rows, inputs = packed.shape
    if inputs != k or place.first + n > rows:
        raise ModelFileError(
            f"{place.file.path}: layer {name} has {rows} × {inputs} codes, trained are {n} × {k}"
        )
    own = slice(place.first, place.first + n)
    codes = layer.number.codec.unpack(np.frombuffer(packed.data, np.uint8), rows, inputs)[own]
    return LayerCheck(
        name,
        layer.number.name,
        n * k,
        tensor.num_bytes * n // rows,
        int((codes != quantized.codes.numpy()).sum()),
        _differing_scales(layer, place, quantized, own) + _differing_static(layer, place),
    )


def _differing_scales(layer: NativeLayer, place: _Place, quantized: Quantized, own: slice) -> int:
    """Scales that differ; of an integer-only layer its int32 bias, made of its scales."""
    second = place.file.constant(place.graph, place.tensor.constants[1])
    if not isinstance(layer, IntegerLinear):
        stored = np.frombuffer(second.data, np.float32).reshape(second.shape[0], -1)[own]
        return int((stored != quantized.scales.numpy()).sum())
    differing = np.frombuffer(second.data, np.int32) != layer.whole_bias().numpy()
    return int(differing.sum())


def _differing_static(layer: NativeLayer, place: _Place) -> int:
    """Numbers of a static scale that differ: step, zero point, limits, offsets."""
    frozen = layer.freeze()
    if frozen.operator.name != "StaticLinear":
        return 0
    node = next(n for n in place.file.nodes(place.graph) if place.tensor.name in n.constants)
    expected = {key: frozen.attributes[key] for key in ("zero_point", "low", "high")}
    differing = sum(node.numbers.get(key) != value for key, value in expected.items())
    for name in ("offsets", "step"):
        stored = place.file.constant(place.graph, node.constants[frozen.constants.index(name)])
        differing += bytes(stored.data) != getattr(frozen, name).numpy().tobytes()
    return differing
