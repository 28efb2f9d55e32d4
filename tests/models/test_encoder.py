"""The step function and the masked full forward are the same function."""

import pytest
import torch

from halfbyte import _core
from halfbyte.blocks.attention import RelativeAttention
from halfbyte.blocks.conformer import EncoderConfig
from halfbyte.blocks.decoder import DecoderConfig
from halfbyte.blocks.leaves import split_heads
from halfbyte.blocks.masks import FULL_CONTEXT, chunk_visibility, draw_chunk_steps
from halfbyte.blocks.positions import distance_table
from halfbyte.blocks.subsampling import Subsampling
from halfbyte.errors import InputError
from halfbyte.families.u2.config import ModelConfig
from halfbyte.families.u2.model import U2
from halfbyte.ops.native import make_native
from halfbyte.quant.formats import LayerMap

ROUNDING = 2e-5  # float32 sums of a few hundred terms, in another order


def tiny_model(number: str = "float32", **encoder: object) -> U2:
    torch.manual_seed(3)
    settings = {
        "width": 32,
        "num_heads": 2,
        "num_layers": 2,
        "feed_forward": 48,
        "kernel": 5,
        "subsampling": 4,
        "subsampling_channels": 8,
        "left_context": 6,
        **encoder,
    }
    config = ModelConfig(EncoderConfig(**settings), DecoderConfig(1, 2, 48))
    model = U2(config, 80, 20).eval()
    return make_native(model, LayerMap(number, {}))


def encode_in_chunks(model: U2, features: torch.Tensor, chunk: int) -> torch.Tensor:
    subsampling = model.encoder.subsampling
    window = subsampling.rate * chunk + subsampling.overlap_frames
    state = model.encoder.initial_state(features.shape[0])
    parts = []
    for start in range(0, features.shape[1], subsampling.rate * chunk):
        piece = features[:, start : start + window]
        if piece.shape[1] >= subsampling.rate + subsampling.overlap_frames:
            part, state = model.encoder.step(piece, state)
            parts.append(part)
    return torch.cat(parts, dim=1)


@pytest.mark.parametrize("rate", [4, 8])
@pytest.mark.parametrize("relative_shift", [True, False])
@pytest.mark.parametrize("chunk", [1, 3, 8])
def test_steps_equal_masked_forward(rate, relative_shift, chunk):
    model = tiny_model(subsampling=rate, relative_shift=relative_shift)
    features = torch.randn(2, 101, 80)
    with torch.no_grad():
        full, steps = model.encoder(features, torch.tensor([101, 101]), chunk)
        stepped = encode_in_chunks(model, features, chunk)
    assert stepped.shape[1] == int(steps[0])
    torch.testing.assert_close(stepped, full, atol=ROUNDING, rtol=0)


def test_future_does_not_leak():
    model = tiny_model()
    features = torch.randn(1, 99, 80)
    changed = features.clone()
    changed[:, 60:] += 5.0
    frames = torch.tensor([99])
    with torch.no_grad():
        before, after = (model.encoder(x, frames, 4)[0] for x in (features, changed))
    seen_from = (60 - 6) // 4 // 4 * 4  # first step of the first chunk whose window holds frame 60
    assert torch.equal(before[:, :seen_from], after[:, :seen_from])
    assert not torch.equal(before[:, seen_from:], after[:, seen_from:])


def test_padding_changes_nothing():
    model = tiny_model()
    features = torch.randn(1, 60, 80)
    padded = torch.cat([features, torch.full((1, 40, 80), 9.0)], dim=1)
    with torch.no_grad():
        alone, steps = model.encoder(features, torch.tensor([60]))
        beside, _ = model.encoder(padded, torch.tensor([60]))
    torch.testing.assert_close(beside[:, : int(steps[0])], alone, atol=ROUNDING, rtol=0)


def test_full_context_is_one_chunk():
    model = tiny_model()
    features = torch.randn(1, 60, 80)
    with torch.no_grad():
        full, _ = model.encoder(features, torch.tensor([60]), FULL_CONTEXT)
        step, _ = model.encoder.step(features, model.encoder.initial_state(1))
    torch.testing.assert_close(step, full, atol=ROUNDING, rtol=0)


def test_relative_attention_equals_its_formula():
    torch.manual_seed(0)
    attention = RelativeAttention(8, 2, 0.0, shift=True).eval()
    x, left = torch.randn(1, 3, 8), 2
    past = torch.randn(2, 1, 2, left, 4)
    with torch.no_grad():
        out, kept_key, _ = attention(
            x, (past[0], past[1]), distance_table(3, 5, 8), torch.zeros(1, 1, 1, 1)
        )
        key = torch.cat([past[0], split_heads(attention.key(x), 2)], dim=2)
        value = torch.cat([past[1], split_heads(attention.value(x), 2)], dim=2)
        assert torch.equal(kept_key, key[:, :, 3:])
        query = split_heads(attention.query(x), 2)[0]
        expected = torch.zeros(3, 2, 4)
        for head in range(2):
            for i in range(3):
                scores = torch.zeros(5)
                for j in range(5):
                    distance = i + left - j
                    sinusoid = distance_table(5, 5, 8)[4 - distance]
                    p = attention.position(sinusoid).view(2, 4)[head]
                    q = query[head, i]
                    by_content = (q + attention.content_bias[head, 0]) @ key[0, head, j]
                    by_position = (q + attention.position_bias[head, 0]) @ p
                    scores[j] = (by_content + by_position) / 2.0
                expected[i, head] = torch.softmax(scores, 0) @ value[0, head]
        torch.testing.assert_close(out[0], attention.out(expected.reshape(3, 8)))


@pytest.mark.parametrize("rate", [4, 8])
def test_subsampling_is_a_strided_convolution(rate):
    torch.manual_seed(0)
    subsampling = Subsampling(80, 16, rate, 4)
    features = torch.randn(2, 75, 80)
    x = features.unsqueeze(1)  # (B, 1, T, F): torch's channels-first layout
    for patch in subsampling.convolutions:
        weight = patch.linear.weight.view(4, 3, 3, -1).permute(0, 3, 1, 2)
        x = torch.relu(torch.nn.functional.conv2d(x, weight, patch.linear.bias, stride=2))
    expected = subsampling.projection(x.permute(0, 2, 3, 1).flatten(2))
    torch.testing.assert_close(subsampling(features), expected, atol=1e-5, rtol=1e-5)
    steps = subsampling.num_steps(torch.tensor([75]))
    assert int(steps) == expected.shape[1]


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("shape", [(2, 9, 11, 3), (1, 3, 3, 1), (3, 8, 6, 16), (2, 40, 80, 32)])
def test_patches_and_their_gradient_are_those_of_views(shape, dtype):
    from halfbyte.ops.patches import patch_views, patches

    torch.manual_seed(0)
    x = torch.randn(shape).to(dtype).requires_grad_()
    ours, theirs = patches(x), torch.cat(patch_views(x), -1)
    assert torch.equal(ours, theirs)
    weight = torch.randn(ours.shape).to(dtype)
    (gradient,) = torch.autograd.grad((ours * weight).sum(), x)
    exact = x.detach().double().requires_grad_()
    views = torch.cat(patch_views(exact), -1)
    (expected,) = torch.autograd.grad((views * weight.double()).sum(), exact)
    tolerance = {torch.float32: 1e-6, torch.bfloat16: 2.0**-8}[dtype]  # one rounding
    torch.testing.assert_close(gradient.double(), expected, atol=1e-6, rtol=tolerance)


def test_patches_refuse_another_size():
    x, out = torch.zeros(1, 5, 5, 2), torch.zeros(1, 2, 2, 17)
    with pytest.raises(InputError, match="9 C"):
        _core.kernels.patches(x, out)
    with pytest.raises(InputError, match="9 C"):
        _core.kernels.patches_backward(out, x)


def test_chunk_visibility_by_hand():
    visible = chunk_visibility(5, chunk_steps=2, left_context=1)
    assert visible.int().tolist() == [
        [1, 1, 0, 0, 0],
        [1, 1, 0, 0, 0],
        [0, 1, 1, 1, 0],
        [0, 1, 1, 1, 0],
        [0, 0, 0, 1, 1],
    ]


def test_chunk_lengths_are_full_half_of_the_time_and_else_bounded():
    generator = torch.Generator().manual_seed(0)
    drawn = [draw_chunk_steps(100, (1, 12), generator) for _ in range(2000)]
    assert {d for d in drawn if d} == set(range(1, 13))
    drawn = [draw_chunk_steps(100, (8, 32), generator) for _ in range(2000)]
    assert {d for d in drawn if d} == set(range(8, 33))
    assert 0.45 < drawn.count(FULL_CONTEXT) / len(drawn) < 0.55


def test_decoder_ignores_what_comes_after():
    model = tiny_model()
    memory = torch.randn(1, 7, 32)
    tokens = torch.tensor([[19, 3, 4, 5], [19, 3, 8, 8]])
    with torch.no_grad():
        log_probs = model.decoder(tokens, memory)
    torch.testing.assert_close(log_probs[0, :2], log_probs[1, :2])
    assert torch.allclose(log_probs.exp().sum(-1), torch.ones(2, 4), atol=1e-5)


def test_wenet_configuration_can_be_built():
    config = ModelConfig(
        EncoderConfig(
            width=256,
            num_heads=4,
            num_layers=12,
            feed_forward=2048,
            kernel=15,
            subsampling=4,
            subsampling_channels=256,
            relative_shift=False,
        ),
        DecoderConfig(num_layers=6, num_heads=4, feed_forward=2048),
    )
    with torch.device("meta"):
        encoder = U2(config, 80, 4233).encoder
    layer_parameters = sum(p.numel() for p in encoder.layers[0].parameters())
    feed_forwards = 2 * (2 * 256 * 2048 + 2048 + 256)
    attention = 4 * (256 * 256 + 256) + 256 * 256 + 2 * 256
    convolution = 256 * 512 + 512 + 256 * 15 + 256 + 2 * 256 + 256 * 256 + 256
    assert layer_parameters == feed_forwards + attention + convolution + 5 * 2 * 256


def test_patches_are_torchs_own_where_nothing_is_trained():
    from halfbyte.ops.patches import patches

    class Front(torch.nn.Module):
        def forward(self, x):
            return patches(x)

    x = torch.randn(1, 9, 11, 3)
    exported = torch.export.export(Front(), (x,))
    assert torch.equal(exported.module()(x), patches(x))
    with pytest.warns(DeprecationWarning, match="deprecated"):
        traced = torch.jit.trace(Front(), (x.requires_grad_(),))
    assert "_Patches" not in str(traced.graph)
    assert patches(torch.zeros(1, 0, 80, 1)).shape == (1, 0, 39, 9)
