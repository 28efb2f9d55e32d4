"""One encoder in every form that the benchmark compares, made from the same random weights."""

import contextlib
import io
import logging
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import numpy_helper

from halfbyte.blocks.config import DecoderConfig, EncoderConfig, ModelConfig
from halfbyte.export.compile import compile_model
from halfbyte.export.freeze import freeze
from halfbyte.export.graphs import trace_encoder
from halfbyte.export.onnx_model import finish
from halfbyte.families.u2.model import U2
from halfbyte.quant.formats import LayerMap
from halfbyte.quant.native import make_native

NUM_BINS, FRAME_MS = 80, 10
LEFT_CONTEXT_STEPS = 64
NUM_TOKENS = 4440  # so that encoder and CTC head have 34.6 million parameters
PRODUCTION = ModelConfig(  # WeNet's published size, with textbook relative positions
    encoder=EncoderConfig(
        width=256,
        num_heads=4,
        num_layers=12,
        feed_forward=2048,
        kernel=15,
        subsampling=4,
        subsampling_channels=256,
        left_context=LEFT_CONTEXT_STEPS,
        dropout=0.0,
    ),
    decoder=DecoderConfig(num_layers=1),  # not exported
)
Arrays = dict[str, NDArray[np.float32]]


@dataclass(frozen=True)
class Shape:
    """One call of an encoder: a chunk and the steps of left context before it."""

    chunk_ms: int
    left_context_steps: int

    def num_frames(self, model: U2) -> int:
        """Feature frames that the chunk reads."""
        return self.chunk_ms // FRAME_MS + model.encoder.subsampling.overlap_frames


def random_model(config: ModelConfig, num_tokens: int) -> U2:
    """A float32 model with seeded weights of the sizes that training leaves."""
    torch.manual_seed(1)
    model = U2(config, NUM_BINS, num_tokens).eval()
    for name, parameter in model.named_parameters():
        if parameter.dim() > 1:
            torch.nn.init.normal_(parameter, std=parameter.shape[-1] ** -0.5)
        else:
            torch.nn.init.normal_(parameter, 1.0 if "norm" in name else 0.0, 0.1)
    model.encoder.feature_norm.mean.normal_(12.0, 1.0)
    model.encoder.feature_norm.inverse_deviation.uniform_(0.2, 0.4)
    return model.requires_grad_(False)


def initial_state(model: U2, shape: Shape) -> Arrays:
    """State inputs of one stream before its first chunk."""
    state = model.encoder.initial_state(1, shape.left_context_steps)
    return {name: value.contiguous().numpy() for name, value in state.items()}


def num_parameters(model: U2) -> int:
    """Parameters of the encoder and its CTC head."""
    return sum(p.numel() for part in (model.encoder, model.ctc) for p in part.parameters())


def multiply_adds(model: U2, shape: Shape) -> int:
    """Multiply-adds of one call, positions left out: they are projected once per shape."""
    from torch.utils.flop_counter import FlopCounterMode

    state = model.encoder.initial_state(1, shape.left_context_steps)
    counter = FlopCounterMode(display=False)
    with torch.no_grad(), counter:
        model.step(torch.zeros(1, shape.num_frames(model), NUM_BINS), state)
    counts = counter.get_flop_counts()
    position = sum(
        sum(ops.values()) for name, ops in counts.items() if name.endswith("attention.position")
    )
    return int(counter.get_total_flops() - position) // 2


def write_models(config: ModelConfig, num_tokens: int, folder: Path) -> None:
    """Writes `w4a8` and `float32`, each as ONNX file and model file, where they are not yet."""
    folder.mkdir(parents=True, exist_ok=True)
    for form in ("w4a8", "float32"):
        if (folder / f"{form}.hb").exists():
            continue
        model = random_model(config, num_tokens)
        make_native(model, LayerMap(form, {}))
        model.requires_grad_(False)
        state = {n: v.contiguous() for n, v in model.encoder.initial_state(1).items()}
        traced = trace_encoder(freeze(model), state)
        for name, value in state.items():
            traced.graph.initializer.append(numpy_helper.from_array(value.numpy(), name))
        exported = finish(traced)
        (folder / f"{form}.onnx").write_bytes(exported.SerializeToString())
        compile_model({"encoder": exported}, {"name": f"bench-{form}"}, folder / f"{form}.hb")


def write_peers(folder: Path, model: U2, shape: Shape) -> dict[str, Path]:
    """ONNX Runtime's files for one shape: float32, its dynamic int8, its 4-bit blocks.

    All sizes are fixed, so that ONNX Runtime folds whatever does not depend on the audio.
    """
    from onnxruntime.quantization import quantize_dynamic
    from onnxruntime.quantization.matmul_nbits_quantizer import MatMulNBitsQuantizer
    from onnxruntime.tools.onnx_model_utils import make_dim_param_fixed

    target = folder / f"{shape.chunk_ms}ms-{shape.left_context_steps}"
    paths = {form: target / f"{form}.onnx" for form in ("float32", "int8", "4bit", "w4a8")}
    if all(path.exists() for path in paths.values()):
        return paths
    target.mkdir(exist_ok=True)
    sizes = {
        "batch": 1,
        "frames": shape.num_frames(model),
        "left_context": shape.left_context_steps,
    }
    for form in ("float32", "w4a8"):
        exported = onnx.load(folder / f"{form}.onnx")
        for axis, size in sizes.items():
            make_dim_param_fixed(exported.graph, axis, size)
        _drop_states(exported)
        onnx.save(exported, paths[form])
    with _quiet():
        quantize_dynamic(paths["float32"], paths["int8"])
        nbits = MatMulNBitsQuantizer(
            onnx.load(paths["float32"]), block_size=32, is_symmetric=True, accuracy_level=4
        )
        nbits.process()
        onnx.save(nbits.model.model, paths["4bit"])
    return paths


def _drop_states(model: onnx.ModelProto) -> None:
    """Removes initial states: their left context may be of another length."""
    kept = [t for t in model.graph.initializer if not t.name.startswith("state.")]
    del model.graph.initializer[:]
    model.graph.initializer.extend(kept)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    logging.disable(logging.WARNING)
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        yield
    logging.disable(logging.NOTSET)
