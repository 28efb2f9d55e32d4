"""One encoder in every form that the benchmark compares, made from the same random weights."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx.inliner
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from halfbyte.data.fbank import FeatureConfig
from halfbyte.data.frames import Labels
from halfbyte.export.compile import compile_model
from halfbyte.export.graphs import trace
from halfbyte.export.onnx_model import finish
from halfbyte.families.family import Family, GraphSpec, Inputs, Production
from halfbyte.measure.peers.layer import quiet
from halfbyte.ops.native import make_native
from halfbyte.quant.formats import LayerMap

NUM_BINS, FRAME_MS = 80, 10
LEFT_CONTEXT_STEPS = 64
_LEFT = "left_context"  # the open axis of states that holds it
Arrays = dict[str, NDArray[np.float32]]


@dataclass(frozen=True)
class Shape:
    """One call of an encoder: a chunk and the steps of left context before it."""

    chunk_ms: int
    left_context_steps: int


@dataclass(frozen=True)
class Subject:
    """An encoder that is measured: a graph of a float32 model with seeded weights.

    Attributes:
        overlap_frames: feature frames that neighbouring chunks share.
        frames_per_step: feature frames of an encoder step.
    """

    spec: GraphSpec
    overlap_frames: int
    frames_per_step: int

    def num_frames(self, shape: Shape) -> int:
        """Feature frames that a chunk reads."""
        return shape.chunk_ms // FRAME_MS + self.overlap_frames

    def features(self, shape: Shape) -> Tensor:
        """Features of nothing, (1, T, F) float32."""
        return torch.zeros(1, self.num_frames(shape), NUM_BINS)

    def states(self, shape: Shape) -> dict[str, Tensor]:
        """State inputs of one stream before its first chunk."""
        states = {}
        for name, example in self.spec.states.items():
            value = example.value
            for axis in (a for a, title in example.axes.items() if title == _LEFT):
                value = value.narrow(axis, 0, shape.left_context_steps)
            states[name] = value.contiguous()
        return states

    def initial_state(self, shape: Shape) -> Arrays:
        """The same as arrays."""
        return {name: value.numpy() for name, value in self.states(shape).items()}


def random_model(family: Family[Any, Any], number_format: str = "float32") -> Any:
    """A model of production size with seeded weights of the sizes that training leaves."""
    torch.manual_seed(1)
    production = _production(family)
    vocabulary = Labels([""] * production.num_tokens)
    inputs = Inputs(FeatureConfig(num_mel_bins=NUM_BINS), vocabulary)
    model = family.build(production.config, inputs).eval()
    for name, parameter in model.named_parameters():
        if parameter.dim() > 1:
            torch.nn.init.normal_(parameter, std=parameter.shape[-1] ** -0.5)
        else:
            torch.nn.init.normal_(parameter, 1.0 if "norm" in name else 0.0, 0.1)
    mean, inverse_deviation = torch.empty(NUM_BINS), torch.empty(NUM_BINS)
    family.start_features(model, mean.normal_(12.0, 1.0), inverse_deviation.uniform_(0.2, 0.4))
    return make_native(model, LayerMap(number_format, {})).requires_grad_(False)


def random_subject(family: Family[Any, Any]) -> Subject:
    """The encoder of `random_model`."""
    model = random_model(family)
    inputs = Inputs(FeatureConfig(num_mel_bins=NUM_BINS), Labels([]))
    streaming = family.metadata(model, inputs)["streaming"]
    spec = family.graphs(model)["encoder"]
    return Subject(spec, streaming["overlap_frames"], streaming["subsampling"])


def _production(family: Family[Any, Any]) -> Production:
    assert family.production is not None
    return family.production


def num_parameters(subject: Subject) -> int:
    """Parameters of the modules that a call goes through."""
    called: set[nn.Module] = set()
    handles = [
        module.register_forward_pre_hook(lambda module, _: called.add(module))
        for module in subject.spec.module.modules()
    ]
    subject.spec.run(subject.spec.test)
    for handle in handles:
        handle.remove()
    return sum(p.numel() for module in called for p in module.parameters(recurse=False))


def multiply_adds(
    spec: GraphSpec, features: Tensor, states: dict[str, Tensor] | None = None
) -> dict[str, int]:
    """Multiply-adds of one call: all, and those of linear layers.

    The projection of positions, which the engine computes once per shape, is left out.
    """
    from torch.utils.flop_counter import FlopCounterMode

    counter = FlopCounterMode(display=False)
    with counter:
        spec.run({"features": features}, states)
    counts = counter.get_flop_counts()
    position = sum(
        sum(ops.values()) for name, ops in counts.items() if name.endswith("attention.position")
    )
    linear = sum(n for op, n in counts["Global"].items() if str(op) in ("aten.addmm", "aten.mm"))
    total = counter.get_total_flops()
    return {"all": (total - position) // 2, "linear_layers": (linear - position) // 2}


def write_models(family: Family[Any, Any], folder: Path) -> None:
    """Writes `w4a8` and `float32`, each as ONNX file and model file, where they are not yet."""
    folder.mkdir(parents=True, exist_ok=True)
    for form in ("w4a8", "float32"):
        if (folder / f"{form}.hb").exists():
            continue
        spec = family.graphs(random_model(family, form))["encoder"]
        exported = finish(trace(spec))
        # Peers read the float32 file: its functions are written out, quantised layers have theirs.
        plain = onnx.inliner.inline_local_functions(exported) if form == "float32" else exported
        (folder / f"{form}.onnx").write_bytes(plain.SerializeToString())
        compile_model({"encoder": exported}, {"name": f"bench-{form}"}, folder / f"{form}.hb")


def write_peers(folder: Path, subject: Subject, shape: Shape) -> dict[str, Path]:
    """ONNX Runtime's files for one shape: float32, its dynamic int8, its 4-bit blocks.

    All sizes are fixed, so that ONNX Runtime folds whatever does not depend on the audio.
    """
    from onnxruntime.quantization.matmul_nbits_quantizer import MatMulNBitsQuantizer
    from onnxruntime.tools.onnx_model_utils import make_dim_param_fixed

    target = folder / f"{shape.chunk_ms}ms-{shape.left_context_steps}"
    paths = {form: target / f"{form}.onnx" for form in ("float32", "int8", "4bit", "w4a8")}
    if all(path.exists() for path in paths.values()):
        return paths
    target.mkdir(exist_ok=True)
    sizes = {
        "batch": 1,
        "frames": subject.num_frames(shape),
        "left_context": shape.left_context_steps,
    }
    for form in ("float32", "w4a8"):
        exported = onnx.load(folder / f"{form}.onnx")
        for axis, size in sizes.items():
            make_dim_param_fixed(exported.graph, axis, size)
        _drop_states(exported)
        onnx.save(exported, paths[form])
    quantize_dynamically(paths["float32"], paths["int8"])
    with quiet():
        nbits = MatMulNBitsQuantizer(
            onnx.load(paths["float32"]), block_size=32, is_symmetric=True, accuracy_level=4
        )
        nbits.process()
        onnx.save(nbits.model.model, paths["4bit"])
    return paths


def quantize_dynamically(source: Path, target: Path) -> None:
    """Write ONNX Runtime's dynamic int8 version of an ONNX file."""
    from onnxruntime.quantization import quantize_dynamic

    with quiet():
        quantize_dynamic(source, target)


def _drop_states(model: onnx.ModelProto) -> None:
    """Removes initial states: their left context may be of another length."""
    kept = [t for t in model.graph.initializer if not t.name.startswith("state.")]
    del model.graph.initializer[:]
    model.graph.initializer.extend(kept)
