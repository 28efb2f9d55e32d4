"""The file against float32 weights at a production size: 12 layers of 256, inner width 2048."""

from pathlib import Path

import pytest
from export.models import ROOT, random_model

from halfbyte.export.onnx_model import compile_folder, export
from halfbyte.train.checkpoint import save_checkpoint
from halfbyte.train.config import load_config

NUM_LAYERS = 12
RATIO = 7.7


def sizes(folder: Path, num_layers: int) -> tuple[int, int]:
    """Bytes of the float32 parameters and of the whole file."""
    sizes = {"width": 256, "feed_forward": 2048, "num_layers": num_layers}
    sizes["subsampling_channels"] = 256
    overrides = [f"model.encoder.{key}={size}" for key, size in sizes.items()]
    config = load_config(ROOT / "recipes" / "en-voice" / "config.yaml", overrides)
    tokenizer, model = random_model(config)
    save_checkpoint(folder / "checkpoint", config, tokenizer, model.state_dict())
    export(folder / "checkpoint", folder / "onnx", {"licence": "none"})
    compile_folder(folder / "onnx", folder / "m.hb")
    float_bytes = 4 * sum(parameter.numel() for parameter in model.parameters())
    return float_bytes, (folder / "m.hb").stat().st_size


@pytest.fixture(scope="module")
def one_and_two(tmp_path_factory):
    return [sizes(tmp_path_factory.mktemp(f"layers-{n}"), n) for n in (1, 2)]


def test_the_file_of_twelve_wide_layers(one_and_two):
    """Layers are alike, so two files say what ten more cost."""
    float_bytes, file_bytes = (
        two + (NUM_LAYERS - 2) * (two - one) for one, two in zip(*one_and_two, strict=True)
    )
    assert float_bytes > 35_000_000 * 4
    assert float_bytes / file_bytes >= RATIO
