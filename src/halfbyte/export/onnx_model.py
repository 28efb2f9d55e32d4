"""From a checkpoint to a folder of ONNX files that ONNX Runtime runs as they are."""

import io
import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper

from halfbyte.errors import UsageError
from halfbyte.export.compile import compile_model
from halfbyte.export.freeze import freeze
from halfbyte.export.functions import functions
from halfbyte.export.graphs import trace_decoder, trace_encoder
from halfbyte.families.u2.model import BLANK, U2
from halfbyte.files import write_together
from halfbyte.listen.settings import read_settings
from halfbyte.ops.operator import DOMAIN
from halfbyte.train.checkpoint import load_checkpoint
from halfbyte.train.config import TrainConfig

ENCODER, DECODER, METADATA, TEST_VECTOR = (
    "encoder.onnx",
    "decoder.onnx",
    "model.json",
    "test_vector.npz",
)
MAX_SEGMENT_MS = 20000
CHUNK_MS = 640
_TEST_STEPS = 4
_TEST_TENSORS = {  # name in the model file -> name in the test vector
    "input.features": "features",
    "output.encoder_out": "encoder_out",
    "output.ctc_log_probs": "ctc_log_probs",
}


def export(checkpoint: Path, folder: Path, card: dict[str, Any] | None = None) -> None:
    """Write encoder.onnx, decoder.onnx, model.json and a test vector.

    Args:
        checkpoint: folder of a trained model.
        folder: where the files go; made if needed.
        card: what the model card says (licence, attribution, results).
    """
    config, tokenizer, model = load_checkpoint(checkpoint)
    frozen = freeze(model)
    with torch.no_grad():
        state = {name: value.contiguous() for name, value in model.encoder.initial_state(1).items()}
    encoder = trace_encoder(frozen, state)
    for name, value in state.items():
        encoder.graph.initializer.append(numpy_helper.from_array(value.numpy(), name))
    decoder = trace_decoder(frozen)
    metadata = describe(config, model, tokenizer.tokens, card or {})
    contents = {
        ENCODER: finish(encoder).SerializeToString(),
        DECODER: finish(decoder).SerializeToString(),
        METADATA: json.dumps(metadata, ensure_ascii=False, indent=1).encode(),
        TEST_VECTOR: _test_vector(model),
    }
    write_together(folder, contents)


def finish(traced: onnx.ModelProto) -> onnx.ModelProto:
    """Add the bodies of the quantised layers and pack 4-bit codes; checked by onnx."""
    used = {node.op_type for node in traced.graph.node if node.domain == DOMAIN}
    bodies = {function.name: function for function in functions()}
    traced.functions.extend(bodies[name] for name in sorted(used))
    del traced.opset_import[:]
    traced.opset_import.extend([helper.make_opsetid("", 21), helper.make_opsetid(DOMAIN, 1)])
    four_bit = {
        node.input[1]
        for node in traced.graph.node
        if node.domain == DOMAIN and 1 <= _weight_bits(node) <= 4
    }
    for initializer in traced.graph.initializer:
        if initializer.name in four_bit:
            initializer.CopyFrom(_four_bit(initializer))
    onnx.checker.check_model(traced)
    return traced


def _four_bit(codes: TensorProto) -> TensorProto:
    """The narrowest container of opset 21: two codes a byte, the first in the low half."""
    halves = numpy_helper.to_array(codes).ravel().view(np.uint8) & 15
    pairs = np.append(halves, np.zeros(halves.size % 2, np.uint8)).reshape(-1, 2)
    packed = (pairs[:, 0] | pairs[:, 1] << 4).tobytes()
    return helper.make_tensor(codes.name, TensorProto.INT4, codes.dims, packed, raw=True)


def _weight_bits(node: onnx.NodeProto) -> int:
    """Of a quantised layer; 0 of other operators."""
    return next((a.i for a in node.attribute if a.name == "weight_bits"), 0)


def describe(
    config: TrainConfig, model: U2, tokens: list[str], card: dict[str, Any]
) -> dict[str, Any]:
    """The metadata of a model file (docs/model-file.md)."""
    features, encoder = config.features, config.model.encoder
    step_ms = encoder.subsampling * features.frame_shift_ms
    return {
        "name": config.name,
        "architecture": "u2",
        "features": {"type": "kaldi_fbank", **vars(features)},
        "streaming": {
            "subsampling": encoder.subsampling,
            "overlap_frames": model.encoder.subsampling.overlap_frames,
            "chunk_steps": min(CHUNK_MS // step_ms, config.model.dynamic_chunk),
            "chunk_choices_steps": list(range(1, config.model.dynamic_chunk + 1)),
            "left_context_steps": encoder.left_context,
            "max_segment_ms": MAX_SEGMENT_MS,
        },
        "tokens": tokens,
        "blank_id": BLANK,
        "sos_id": len(tokens) - 1,
        "eos_id": len(tokens) - 1,
        "decoding": {"beam": 10, "ctc_weight": 0.5},
        "card": card,
    }


def _test_vector(model: U2) -> bytes:
    """Seeded features, each a half, and what the training graph makes of them."""
    subsampling = model.encoder.subsampling
    random = np.random.default_rng(1)
    num_frames = _TEST_STEPS * subsampling.rate + subsampling.overlap_frames
    shape = (1, num_frames, model.encoder.feature_norm.mean.shape[0])
    features = random.normal(12.0, 3.0, shape).astype(np.float16).astype(np.float32)
    with torch.no_grad():
        state = model.encoder.initial_state(1)
        encoded, log_probs, _ = model.step(torch.from_numpy(features), state)
    file = io.BytesIO()
    np.savez(file, features=features, encoder_out=encoded, ctc_log_probs=log_probs)
    return file.getvalue()


def compile_folder(folder: Path, path: Path) -> None:
    """Write the model file of an exported folder.

    Raises:
        UsageError: the folder lacks a file, or holds a damaged one, or a graph that the engine
            cannot run.
        ModelFileError: the metadata lack what a stream needs.
    """
    for name in (ENCODER, DECODER, METADATA, TEST_VECTOR):
        if not (folder / name).is_file():
            raise UsageError(
                f"{folder} is no exported model: {name} is missing; run halfbyte export"
            )
    try:
        metadata = json.loads((folder / METADATA).read_text(encoding="utf-8"))
        with (folder / TEST_VECTOR).open("rb") as file:
            arrays = np.load(file)
            vector = {name: arrays[key] for name, key in _TEST_TENSORS.items()}
    except (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile) as error:
        raise UsageError(
            f"{folder} holds a damaged {METADATA} or {TEST_VECTOR} ({error}); run halfbyte export"
        ) from error
    read_settings(metadata)
    graphs = {"encoder": folder / ENCODER, "decoder": folder / DECODER}
    compile_model(graphs, metadata, path, vector)
