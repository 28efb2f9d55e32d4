"""A U2 model of Whisper's blocks: the file equals training, its decoder token by token too."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from models import Exported, export_checkpoint, following, random_model

from halfbyte.export.onnx_model import compile_folder
from halfbyte.listen.options import StreamOptions
from halfbyte.listen.recognizer import Recognizer
from halfbyte.train.checkpoint import save_checkpoint
from halfbyte.train.config import train_config

SIZES = {"kind": "whisper", "num_heads": 2, "feed_forward": 96, "num_layers": 2}


@pytest.fixture(scope="module")
def whisper(tmp_path_factory: pytest.TempPathFactory) -> Exported:
    tree = {
        "family": "u2",
        "features": {"definition": "whisper", "low_hz": 0},
        "tokens": {"kind": "bpe", "size": 60},
        "model": {
            "encoder": {**SIZES, "width": 64, "left_context": 12},
            "decoder": {**SIZES, "num_positions": 40},
            "shortest_chunk": 8,
            "dynamic_chunk": 16,
        },
    }
    config = train_config(tree)
    tokenizer, model = random_model(config)
    model.encoder.feature_norm.mean.fill_(-9.0)
    with torch.no_grad():
        model.decoder.output.bias[-1] = -4.0  # else sentences end before they begin
    folder = tmp_path_factory.mktemp("whisper")
    save_checkpoint(folder / "checkpoint", config, tokenizer, model.state_dict())
    return export_checkpoint(folder / "checkpoint", folder)


def test_chunks_equal_training_and_onnx_runtime(whisper: Exported) -> None:
    states = whisper.initial_states()
    for seed in range(3):  # the third has a full left context
        features = whisper.features(8, 0, seed) - np.float32(21.0)
        trained = whisper.in_torch(features, states)
        for name, value in whisper.in_engine(features, states).items():
            np.testing.assert_allclose(value, trained[name], rtol=0, atol=1e-4, err_msg=name)
        for name, value in whisper.in_onnx_runtime(features, states).items():
            np.testing.assert_allclose(value, trained[name], rtol=0, atol=1e-4, err_msg=name)
        states = following(trained)


def test_attention_search_is_the_same_with_and_without_a_cache(
    whisper: Exported, tmp_path: Path
) -> None:
    metadata = whisper.onnx_folder / "model.json"
    content = json.loads(metadata.read_text())
    assert content["decoding"].pop("cache") == "tokens"
    for path in whisper.onnx_folder.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    (tmp_path / "model.json").write_text(json.dumps(content))
    compile_folder(tmp_path, tmp_path / "whole.hb")
    samples = np.random.default_rng(5).normal(0, 0.1, 24000).astype(np.float32)
    found = []
    for file in (whisper.model_file, tmp_path / "whole.hb"):
        stream = Recognizer(file).stream(StreamOptions(0, "attention", num_best=5))
        found.append([*stream.accept(samples), *stream.finish()])
    assert found[0] == found[1]
    assert found[0][-1].text


def test_the_weight_of_three_layers_is_stored_once(whisper: Exported) -> None:
    layer = whisper.model.decoder.embedding
    codes = layer.quantized_weight().codes.numpy()
    packed = layer.number.codec.pack(codes).tobytes()
    assert whisper.model.ctc.output.weight is layer.weight
    assert whisper.model_file.read_bytes().count(packed) == 1
