"""Whether the file that is deployed holds what was trained, layer by layer."""

import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from halfbyte.engine import ModelFile
from halfbyte.errors import ConfigError, ModelFileError, UsageError
from halfbyte.export.onnx_model import compile_folder, export
from halfbyte.quant.layers import NativeEmbedding, NativeLinear
from halfbyte.quant.native import native_layers
from halfbyte.quant.packing import unpack
from halfbyte.train.checkpoint import WEIGHTS, load_checkpoint

_PREFIXES = {"decoder": "decoder.", "encoder": ""}  # of layer names, by graph
_IN_ENCODER_GRAPH = "model."  # what the traced encoder graph puts before them


@dataclass(frozen=True)
class LayerCheck:
    """One quantised layer of a trained model beside what a model file holds of it.

    Attributes:
        name: of the layer.
        number_format: such as "w4a8".
        num_weights: N · K.
        num_bytes: of codes, scales and bias in the file.
        num_codes: codes that differ.
        num_scales: scales that differ.
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
        ModelFileError: the file lacks a layer, or holds one of another shape.
    """
    checkpoint = checkpoint_of(run)
    _, _, model = load_checkpoint(checkpoint)
    with tempfile.TemporaryDirectory() as folder:
        if model_file is None:
            export(checkpoint, Path(folder) / "onnx")
            model_file = Path(folder) / "model.hb"
            compile_folder(Path(folder) / "onnx", model_file)
        file = ModelFile(model_file)
        sizes = {
            (g, layer.name): layer.num_bytes for g in file.graph_names for layer in file.layers(g)
        }
        return [_check(file, sizes, name, layer) for name, layer in native_layers(model).items()]


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


def _check(
    file: ModelFile,
    sizes: dict[tuple[str, str], int],
    name: str,
    layer: NativeLinear | NativeEmbedding,
) -> LayerCheck:
    graph = "decoder" if name.startswith("decoder.") else "encoder"
    stem = name.removeprefix(_PREFIXES[graph])
    if graph == "encoder":
        stem = _IN_ENCODER_GRAPH + stem
    quantized = layer.quantized_weight()
    try:
        packed = file.constant(graph, f"{stem}.codes")
        scales = file.constant(graph, f"{stem}.scales")
    except UsageError as error:
        raise ModelFileError(f"{file.path}: {error}; is it the file of this run?") from error
    if packed.shape != tuple(quantized.codes.shape):
        raise ModelFileError(
            f"{file.path}: layer {name} is {packed.shape}, trained {tuple(quantized.codes.shape)}"
        )
    bits = int(packed.dtype.removeprefix("packed"))
    codes = unpack(np.frombuffer(packed.data, np.uint8), bits, *packed.shape)
    stored = torch.frombuffer(bytearray(scales.data), dtype=torch.float32)
    return LayerCheck(
        name,
        layer.number.name,
        quantized.codes.numel(),
        sizes[graph, f"{stem}.codes"],
        int((codes != quantized.codes.numpy()).sum()),
        int((stored != quantized.scales.flatten()).sum()),
    )
