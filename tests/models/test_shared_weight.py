"""One weight for several layers: in the state, in native layers, in Whisper's recogniser."""

import copy

import pytest
import torch
from torch import nn

from halfbyte.blocks.shared_weight import share_weight
from halfbyte.blocks.whisper import WhisperConfig
from halfbyte.blocks.whisper_decoder import WhisperDecoderConfig
from halfbyte.families.u2.config import ModelConfig
from halfbyte.families.u2.model import U2
from halfbyte.ops.native import make_native
from halfbyte.quant.formats import LayerMap


class Words(nn.Module):
    """An embedding and the output layer over the same tokens."""

    def __init__(self):
        super().__init__()
        self.embedding, self.output = nn.Embedding(6, 8), nn.Linear(8, 6)
        share_weight(self, "embedding", "output")

    def forward(self, ids):
        return self.output(self.embedding(ids))


@pytest.fixture
def words():
    torch.manual_seed(1)
    return Words()


def test_the_state_holds_it_once_and_loads(words):
    state = words.state_dict()
    assert sorted(state) == ["embedding.weight", "output.bias"]
    other = Words()
    other.load_state_dict(state)
    ids = torch.arange(6)
    assert torch.equal(other(ids), words(ids))
    assert other.output.weight is other.embedding.weight


@pytest.mark.parametrize("number", ["w4a8", "w4a32", "w2a8"])
def test_native_layers_share_it_with_the_same_codes(words, number):
    make_native(words, LayerMap(number, {}))
    assert words.output.weight is words.embedding.weight
    assert sorted(words.state_dict()) == ["embedding.weight", "output.bias"]
    one, other = words.embedding.quantized_weight(), words.output.quantized_weight()
    assert torch.equal(one.codes, other.codes)
    assert torch.equal(one.scales, other.scales)


def test_gradients_of_both_uses_add_up(words):
    ids = torch.tensor([1, 4])
    words(ids).sum().backward()
    parts = []
    for frozen in ("embedding", "output"):
        alone = copy.deepcopy(words)
        alone.zero_grad()
        layer = getattr(alone, frozen)
        layer.weight = nn.Parameter(layer.weight.detach().clone())  # its own, from here on
        alone(ids).sum().backward()
        used = alone.output if frozen == "embedding" else alone.embedding
        parts.append(used.weight.grad)
    assert torch.allclose(words.embedding.weight.grad, parts[0] + parts[1])


def test_the_ctc_head_over_whispers_decoder_has_its_embedding():
    sizes = ModelConfig(
        encoder=WhisperConfig(width=16, num_heads=2, feed_forward=24, num_layers=1),
        decoder=WhisperDecoderConfig(num_heads=2, feed_forward=24, num_layers=1),
    )
    model = U2(sizes, num_bins=8, num_tokens=7)
    embedding = model.decoder.embedding.weight
    assert model.ctc.output.weight is embedding
    assert model.decoder.output.weight is embedding
    assert model.ctc_log_probs(torch.ones(2, 3, 32)).shape == (2, 3, 7)
    of_seven = [name for name, value in model.state_dict().items() if value.shape[:1] == (7,)]
    assert of_seven == ["ctc.output.bias", "decoder.embedding.weight", "decoder.output.bias"]
