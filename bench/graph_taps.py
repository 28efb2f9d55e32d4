"""The inputs of every quantised layer, as training graph, ONNX Runtime and engine see them."""

import json
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import torch
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from halfbyte.engine import ModelFile, Session, State
from halfbyte.errors import ModelFileError
from halfbyte.export.compile import compile_model
from halfbyte.export.onnx_model import METADATA, graph_file
from halfbyte.families.u2.model import U2
from halfbyte.ops.native_linear import NativeLinear
from halfbyte.ops.operator import DOMAIN
from halfbyte.progress import progress_bar
from halfbyte.quant.reference import quantize_rows, quantize_weight
from halfbyte.train.checkpoint import load_checkpoint

Floats = NDArray[np.float32]
ENCODER_OUT = "encoder_out"
RUNNERS = ["ONNX Runtime", "engine"]


class TrainingGraph:
    """The torch model; hooks keep the input of every native layer."""

    def __init__(self, model: U2):
        self._model = model
        self._seen: dict[str, Floats] = {}
        self.layers = {n: m for n, m in model.named_modules() if isinstance(m, NativeLinear)}
        self.called: dict[str, None] = {}  # layers that the encoder runs, in order
        for name, layer in self.layers.items():
            layer.register_forward_pre_hook(self._keep(name))
        self.reset()

    def _keep(self, name: str) -> Any:
        def hook(_: torch.nn.Module, arguments: tuple[torch.Tensor]) -> None:
            self.called[name] = None
            self._seen[name] = arguments[0].detach().numpy()

        return hook

    def reset(self) -> None:
        """Start another utterance."""
        with torch.no_grad():
            self._state = self._model.encoder.initial_state(1)

    def step(self, window: Floats) -> tuple[Floats, dict[str, Floats]]:
        """Encoder output of a chunk, and the input of each layer by its name."""
        with torch.no_grad():
            encoded, _, self._state = self._model.step(torch.from_numpy(window), self._state)
        return encoded.numpy(), self._seen


class OnnxGraph:
    """ONNX Runtime on the graph with taps."""

    def __init__(self, tapped: onnx.ModelProto, taps: dict[str, str]):
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.log_severity_level = 3
        self._session = onnxruntime.InferenceSession(tapped.SerializeToString(), options)
        self._names = [output.name for output in self._session.get_outputs()]
        self._taps = taps
        self.reset()

    def reset(self) -> None:
        """Start another utterance."""
        self._state: dict[str, Floats] = {}

    def step(self, window: Floats) -> tuple[Floats, dict[str, Floats]]:
        """Encoder output of a chunk, and the input of each layer by its name."""
        values = self._session.run(self._names, {"features": window, **self._state})
        named = dict(zip(self._names, values, strict=True))
        for name in self._names:
            if name.startswith("next."):
                self._state["state." + name.removeprefix("next.")] = named[name]
        return named[ENCODER_OUT], {layer: named[tap] for layer, tap in self._taps.items()}


class EngineGraph:
    """The engine on a model file compiled from the graph with taps."""

    def __init__(self, tapped: onnx.ModelProto, taps: dict[str, str]):
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "tapped.hb"
            compile_model({"encoder": tapped}, {}, path)
            self._file = ModelFile(path)
        self._session = Session(self._file)
        self._taps = taps
        self.reset()

    def reset(self) -> None:
        """Start another utterance."""
        self._state = State(self._file)

    def step(self, window: Floats) -> tuple[Floats, dict[str, Floats]]:
        """Encoder output of a chunk, and the input of each layer by its name."""
        outputs = self._session.run({"features": window}, self._state)
        named = {name: np.asarray(tensor.view()) for name, tensor in outputs.items()}
        return named[ENCODER_OUT], {layer: named[tap] for layer, tap in self._taps.items()}


class Comparison:
    """Differences of two runners from the training graph.

    Args:
        bits: of the activations of each layer.
    """

    runners = RUNNERS

    def __init__(self, bits: dict[str, int]):
        self._bits = bits
        self._num_codes = dict.fromkeys(bits, 0)
        self._flipped = {runner: dict.fromkeys(bits, 0) for runner in RUNNERS}
        self._by_two = dict.fromkeys(RUNNERS, 0)  # codes that differ by more than one
        self._largest = dict.fromkeys(RUNNERS, 0.0)

    def add(
        self,
        expected: tuple[Floats, dict[str, Floats]],
        found: dict[str, tuple[Floats, dict[str, Floats]]],
    ) -> None:
        """Count a chunk."""
        codes = {layer: self._codes(layer, x) for layer, x in expected[1].items()}
        for layer, ours in codes.items():
            self._num_codes[layer] += ours.size
        for runner, (encoded, inputs) in found.items():
            difference = float(np.abs(encoded - expected[0]).max())
            self._largest[runner] = max(self._largest[runner], difference)
            for layer, ours in codes.items():
                apart = np.abs(self._codes(layer, inputs[layer]) - ours)
                self._flipped[runner][layer] += int((apart > 0).sum())
                self._by_two[runner] += int((apart > 1).sum())

    def _codes(self, layer: str, x: Floats) -> NDArray[np.int16]:
        codes, _ = quantize_rows(
            np.ascontiguousarray(x).reshape(-1, x.shape[-1]), self._bits[layer]
        )
        return codes.astype(np.int16)

    def figures(self) -> dict[str, Any]:
        """Per runner the largest difference and the share of codes that flip; counts per layer."""
        num_codes = max(1, sum(self._num_codes.values()))
        figures: dict[str, Any] = {
            runner: {
                "encoder_out_difference": self._largest[runner],
                "codes_flipped": sum(self._flipped[runner].values()) / num_codes,
                "codes_apart_by_two": self._by_two[runner] / num_codes,
            }
            for runner in RUNNERS
        }
        figures["codes"] = sum(self._num_codes.values())
        figures["flipped_by_layer"] = {
            layer: {"codes": count, **{r: self._flipped[r][layer] for r in RUNNERS}}
            for layer, count in self._num_codes.items()
        }
        return figures


def compare(checkpoint: Path, folder: Path, features: list[Any], chunk_ms: int) -> Comparison:
    """Run utterances chunk by chunk through all three, each with its own state.

    Args:
        checkpoint: folder of the training graph.
        folder: its export.
        features: (T, F) float32 of each utterance.
        chunk_ms: duration of a chunk.
    """
    torch.set_num_threads(1)
    _, _, model = load_checkpoint(checkpoint)
    metadata = json.loads((folder / METADATA).read_text(encoding="utf-8"))
    streaming = metadata["streaming"]
    chunk_frames = chunk_ms // metadata["features"]["frame_shift_ms"]
    training = TrainingGraph(model)
    windows = [
        list(_windows(x, chunk_frames, streaming["subsampling"], streaming["overlap_frames"]))
        for x in features
    ]
    training.called.clear()  # making the first state has run a layer
    training.step(next(window for utterance in windows for window in utterance))
    tapped, taps = tap(onnx.load(folder / graph_file("encoder")), training)
    runners: dict[str, OnnxGraph | EngineGraph] = {
        "ONNX Runtime": OnnxGraph(tapped, taps),
        "engine": EngineGraph(tapped, taps),
    }
    layers = training.layers
    comparison = Comparison({name: layers[name].number.activation_bits for name in taps})
    for utterance in progress_bar(windows, "comparing"):
        training.reset()
        for runner in runners.values():
            runner.reset()
        for window in utterance:
            found = {name: runner.step(window) for name, runner in runners.items()}
            comparison.add(training.step(window), found)
    return comparison


def _windows(x: Any, chunk_frames: int, rate: int, overlap_frames: int) -> Iterator[Floats]:
    """(1, T, F) windows of an utterance; the last may be shorter."""
    frames = np.array(x, dtype=np.float32)
    for begin in range(0, len(frames), chunk_frames):
        window = frames[begin : begin + chunk_frames + overlap_frames]
        if len(window) >= rate + overlap_frames:
            yield window[None]


def tap(
    encoder: onnx.ModelProto, training: TrainingGraph
) -> tuple[onnx.ModelProto, dict[str, str]]:
    """Make the input of every quantised layer an output of the graph.

    Returns:
        The graph, and the output's name for each layer's name in the training graph. Layers are
        matched in the order in which they run, and must hold the same weight codes.

    Raises:
        ModelFileError: the graph is not that of the checkpoint.
    """
    codes = {tensor.name: tensor for tensor in encoder.graph.initializer}
    nodes = [n for n in encoder.graph.node if n.domain == DOMAIN and n.op_type.startswith("Linear")]
    if len(nodes) != len(training.called):
        raise ModelFileError(
            f"{len(nodes)} quantised layers, the checkpoint has {len(training.called)}"
        )
    taps = {}
    for node, name in zip(_in_order(nodes, training, codes), training.called, strict=True):
        taps[name] = node.input[0]
    present = {output.name for output in encoder.graph.output}
    for name in dict.fromkeys(taps.values()):
        if name not in present:
            value = helper.make_tensor_value_info(name, TensorProto.FLOAT, None)
            encoder.graph.output.append(value)
    return encoder, taps


def _in_order(
    nodes: Iterable[onnx.NodeProto], training: TrainingGraph, tensors: dict[str, onnx.TensorProto]
) -> Iterator[onnx.NodeProto]:
    """The nodes in the order of the training graph's layers, found by their weight codes."""
    left = list(nodes)
    for name in training.called:
        layer = training.layers[name]
        weight = layer.weight.detach().numpy()
        expected, _ = quantize_weight(weight, layer.number.weight_bits)
        for node in left:
            stored = numpy_helper.to_array(tensors[node.input[1]]).astype(np.int8)
            if stored.shape == expected.shape and (stored == expected).all():
                left.remove(node)
                yield node
                break
        else:
            raise ModelFileError(f"no layer of the graph holds the weight codes of {name}")
