"""Reads Whisper's weights, of CTranslate2 or Hugging Face, as states of our modules.

Source of the layout: CTranslate2's `ModelReader` (binary version 6); Hugging Face's `WhisperModel`.
"""

import re
import struct
from pathlib import Path
from typing import BinaryIO

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from halfbyte.blocks.whisper import GELU_SLOPE
from halfbyte.errors import ModelFileError

_TYPES = {0: np.float32, 1: np.int8, 2: np.int16, 3: np.int32, 4: np.float16}
Weights = dict[str, Tensor]


def read_ctranslate2(path: Path) -> Weights:
    """Every tensor of a CTranslate2 model file, floating-point ones as float32.

    Layout, little-endian: uint32 version, name of the kind of model, uint32 revision, uint32 count,
    then for each variable: name, uint8 rank, uint32 sizes, uint8 type, uint32 bytes, values. A name
    is a uint16 length and so many bytes, the last of them 0.

    Raises:
        ModelFileError: the file ends early or has an unknown type.
    """
    weights: Weights = {}
    try:
        with open(path, "rb") as file:
            _number(file, "I"), _text(file), _number(file, "I")
            for _ in range(_number(file, "I")):
                name, value = _text(file), _variable(file)
                weights[name] = torch.from_numpy(value)
    except (struct.error, KeyError, ValueError) as error:
        raise ModelFileError(f"{path}: cannot read a CTranslate2 model: {error}") from error
    return weights


def _number(file: BinaryIO, kind: str) -> int:
    return int(struct.unpack("<" + kind, file.read(struct.calcsize(kind)))[0])


def _text(file: BinaryIO) -> str:
    return file.read(_number(file, "H"))[:-1].decode()


def _variable(file: BinaryIO) -> np.ndarray:
    shape = [_number(file, "I") for _ in range(_number(file, "B"))]
    kind = _TYPES[_number(file, "B")]
    value = np.frombuffer(file.read(_number(file, "I")), kind).reshape(shape)
    return value.astype(np.float32) if value.dtype == np.float16 else value.copy()


def read_hugging_face(path: Path) -> Weights:
    """The same of Hugging Face's `model.safetensors`, under CTranslate2's names.

    Raises:
        ModelFileError: the file is no such model.
    """
    try:
        theirs = load_file(path)
        weights = {_renamed(name): value.float() for name, value in theirs.items()}
        return _joined_projections(weights)
    except (OSError, SafetensorError, KeyError) as error:
        raise ModelFileError(f"{path}: cannot read a Whisper of Hugging Face: {error}") from error


_RENAMED = (
    (r"^model\.", ""),
    (r"\.layers\.(\d+)\.", r"/layer_\1/"),
    (r"embed_tokens\.weight", "embeddings/weight"),
    (r"embed_positions\.weight", "position_encodings/encodings"),
    (r"self_attn_layer_norm", "self_attention/layer_norm"),
    (r"encoder_attn_layer_norm", "attention/layer_norm"),
    (r"self_attn\.out_proj", "self_attention/linear_1"),
    (r"encoder_attn\.out_proj", "attention/linear_2"),
    (r"self_attn\.", "self_attention/"),
    (r"encoder_attn\.", "attention/"),
    (r"final_layer_norm", "ffn/layer_norm"),
    (r"fc1", "ffn/linear_0"),
    (r"fc2", "ffn/linear_1"),
    (r"layer_norm\.weight", "layer_norm/gamma"),
    (r"layer_norm\.bias", "layer_norm/beta"),
    (r"\.", "/"),
)


def _renamed(name: str) -> str:
    """`model.encoder.layers.0.fc1.weight` -> `encoder/layer_0/ffn/linear_0/weight`."""
    for pattern, replacement in _RENAMED:
        name = re.sub(pattern, replacement, name)
    return name


def _joined_projections(weights: Weights) -> Weights:
    """Queries, keys and values in one matrix; where the decoder attends to memory, the last two."""
    joined = {name: value for name, value in weights.items() if "_proj/" not in name}
    for prefix in {name.rsplit("/", 2)[0] for name in weights if "_proj/" in name}:
        projections = [f"{prefix}/{part}_proj/" for part in "qkv"]
        matrices = [weights[name + "weight"] for name in projections]
        zeros = torch.zeros(len(matrices[1]))
        biases = [weights.get(name + "bias", zeros) for name in projections]
        rows = [slice(3)] if prefix.endswith("self_attention") else [slice(1), slice(1, 3)]
        for i, part in enumerate(rows):
            joined[f"{prefix}/linear_{i}/weight"] = torch.cat(matrices[part])
            joined[f"{prefix}/linear_{i}/bias"] = torch.cat(biases[part])
    return joined


def encoder_state(weights: Weights, activation: str) -> Weights:
    """The state of a `WhisperEncoder`, but for the range of its features.

    Args:
        weights: of `read_ctranslate2` or `read_hugging_face`.
        activation: of the encoder; for `silu` the factors of the approximation are folded in.
    """
    slope = _slope(activation)
    state: Weights = {}
    for ours, theirs in (("first", "conv1"), ("second", "conv2")):
        kernel = weights[f"encoder/{theirs}/weight"]  # (N, K, 3)
        state[f"subsampling.{ours}.weight"] = kernel.transpose(1, 2).flatten(1) * slope
        state[f"subsampling.{ours}.bias"] = weights[f"encoder/{theirs}/bias"] * slope
    state["subsampling.second.weight"] /= slope
    for i in range(_num_layers(weights, "encoder")):
        theirs = f"encoder/layer_{i}/"
        layer = _self_attention(weights, theirs + "self_attention/", "attention")
        layer |= _norm(weights, theirs + "self_attention/layer_norm/", "norm_attention")
        layer |= _feed_forward(weights, theirs + "ffn/", slope)
        state |= {f"layers.{i}.{name}": value for name, value in layer.items()}
    return state | _norm(weights, "encoder/layer_norm/", "norm")


def decoder_state(
    weights: Weights, activation: str, tokens: Tensor, start: int, end: int
) -> Weights:
    """The state of a `WhisperDecoder`.

    Args:
        weights, activation: as in `encoder_state`.
        tokens: (V,) int64, Whisper's numbers of the tokens to keep; the last one is our boundary.
        start, end: Whisper's numbers of the start of a transcript and of the end of the text.
    """
    table = weights["decoder/embeddings/weight"]
    positions = weights["decoder/position_encodings/encodings"]
    rows, places = table[tokens], positions[1:].clone()
    rows[-1] = table[end]
    places[0] += table[tokens[-1]] - table[end]
    columns = rows.square().mean(dim=0).sqrt().sqrt()
    state = {
        "start": table[start] + positions[0],
        "embedding.weight": rows / columns,
        "columns": columns,
        "position.weight": places,
        "output.bias": torch.zeros(len(tokens)),
    }
    for i in range(_num_layers(weights, "decoder")):
        theirs = f"decoder/layer_{i}/"
        layer = _self_attention(weights, theirs + "self_attention/", "self_attention")
        layer |= _norm(weights, theirs + "self_attention/layer_norm/", "norm_self")
        layer |= _memory_attention(weights, theirs + "attention/")
        layer |= _norm(weights, theirs + "attention/layer_norm/", "norm_memory")
        layer |= _feed_forward(weights, theirs + "ffn/", _slope(activation))
        state |= {f"layers.{i}.{name}": value for name, value in layer.items()}
    last = _norm(weights, "decoder/layer_norm/", "norm")
    return state | {name: value * columns for name, value in last.items()}


def _slope(activation: str) -> float:
    return GELU_SLOPE if activation == "silu" else 1.0


def _num_layers(weights: Weights, part: str) -> int:
    names = {name.split("/")[1] for name in weights if name.startswith(f"{part}/layer_")}
    return len(names - {"layer_norm"})


def _norm(weights: Weights, theirs: str, ours: str) -> Weights:
    return {f"{ours}.weight": weights[theirs + "gamma"], f"{ours}.bias": weights[theirs + "beta"]}


def _feed_forward(weights: Weights, theirs: str, slope: float) -> Weights:
    state = _norm(weights, theirs + "layer_norm/", "norm_feed_forward")
    for part in ("weight", "bias"):
        state[f"expand.{part}"] = weights[theirs + f"linear_0/{part}"] * slope
        state[f"contract.{part}"] = weights[theirs + f"linear_1/{part}"]
    state["contract.weight"] = state["contract.weight"] / slope
    return state


def _self_attention(weights: Weights, theirs: str, ours: str) -> Weights:
    """Queries, keys and values lie in one matrix."""
    state = _projections(weights, theirs + "linear_0", ours, ("query", "key", "value"))
    return state | _projections(weights, theirs + "linear_1", ours, ("out",))


def _memory_attention(weights: Weights, theirs: str) -> Weights:
    """Keys and values lie in one matrix."""
    ours = "memory_attention"
    state = _projections(weights, theirs + "linear_0", ours, ("query",))
    state |= _projections(weights, theirs + "linear_1", ours, ("key", "value"))
    return state | _projections(weights, theirs + "linear_2", ours, ("out",))


def _projections(weights: Weights, theirs: str, ours: str, names: tuple[str, ...]) -> Weights:
    state: Weights = {}
    for part in ("weight", "bias"):
        pieces = weights[f"{theirs}/{part}"].chunk(len(names))
        state |= {f"{ours}.{name}.{part}": piece for name, piece in zip(names, pieces, strict=True)}
    return state
