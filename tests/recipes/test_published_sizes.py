"""The recipes of LibriSpeech and AISHELL-1 have the parameters of WeNet's unified Conformer."""

from pathlib import Path

import pytest
import torch

from halfbyte.families.u2.model import U2
from halfbyte.train.config import load_config

RECIPES = Path(__file__).parents[2] / "recipes"
# WeNet, examples/{librispeech,aishell}/s0/conf/train_unified_conformer.yaml
WIDTH, HEADS, INNER, LAYERS, KERNEL, DECODER_LAYERS, MEL_BINS = 256, 4, 2048, 12, 15, 6, 80
TOKENS = {"librispeech": 5002, "aishell": 4233}  # lines of their dictionaries


def linear(inputs: int, outputs: int) -> int:
    return inputs * outputs + outputs


def published_parameters(num_tokens: int) -> dict[str, int]:
    """Counted by hand from the published configuration, module by module."""
    norm, attention = 2 * WIDTH, 4 * linear(WIDTH, WIDTH)
    feed_forward = linear(WIDTH, INNER) + linear(INNER, WIDTH)
    rows = ((MEL_BINS - 1) // 2 - 1) // 2
    subsampling = linear(9, WIDTH) + linear(9 * WIDTH, WIDTH) + linear(rows * WIDTH, WIDTH)
    relative = WIDTH * WIDTH + 2 * WIDTH  # positions without bias, u and v
    convolution = linear(WIDTH, 2 * WIDTH) + linear(KERNEL, WIDTH) + norm + linear(WIDTH, WIDTH)
    encoder_layer = 2 * feed_forward + attention + relative + convolution + 5 * norm
    decoder_layer = 2 * attention + feed_forward + 3 * norm
    output = linear(WIDTH, num_tokens)
    return {
        "encoder": subsampling + LAYERS * encoder_layer + norm,
        "ctc": output,
        "decoder": num_tokens * WIDTH + DECODER_LAYERS * decoder_layer + norm + output,
    }


@pytest.mark.parametrize("recipe", TOKENS)
def test_parameters_are_those_of_the_published_model(recipe):
    config = load_config(RECIPES / recipe / "config.yaml").model
    with torch.device("meta"):
        model = U2(config, MEL_BINS, TOKENS[recipe])
    found = {
        name: sum(p.numel() for p in getattr(model, name).parameters())
        for name in ("encoder", "ctc", "decoder")
    }
    assert found == published_parameters(TOKENS[recipe])


@pytest.mark.parametrize("recipe", TOKENS)
def test_heads_loss_and_chunks_are_those_of_the_published_model(recipe):
    config = load_config(RECIPES / recipe / "config.yaml").model
    assert config.encoder.num_heads == config.decoder.num_heads == HEADS
    assert (config.ctc_weight, config.label_smoothing) == (0.3, 0.1)
    assert (config.encoder.subsampling, config.encoder.relative_shift) == (4, False)
    assert config.dynamic_chunk == 25  # WeNet draws chunks of up to 25 steps
