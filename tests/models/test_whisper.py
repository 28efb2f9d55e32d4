"""Whisper's blocks: steps equal the whole segment, and both importers give the same states."""

import struct
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from halfbyte.blocks.attention import NOT_SEEN
from halfbyte.blocks.masks import FULL_CONTEXT
from halfbyte.blocks.whisper import STACK, WhisperConfig, WhisperEncoder
from halfbyte.blocks.whisper_decoder import WhisperDecoder, WhisperDecoderConfig
from halfbyte.blocks.whisper_import import (
    decoder_state,
    encoder_state,
    read_ctranslate2,
    read_hugging_face,
)
from halfbyte.errors import ModelFileError
from halfbyte.ops.native import make_native
from halfbyte.quant.formats import LayerMap

START, END = 5, 9
KEPT = torch.tensor([3, 0, 22, 7])
ROUNDING = 2e-5  # float32 sums of a few hundred terms, in another order
WIDTH, INNER, BINS, TOKENS, POSITIONS = 32, 48, 80, 23, 9


def tiny_config(**settings: object) -> WhisperConfig:
    sizes = {"width": WIDTH, "num_heads": 2, "feed_forward": INNER, "num_layers": 2}
    return WhisperConfig(**{**sizes, "left_context": 3, **settings})


def tiny_decoder(num_tokens: int, num_positions: int) -> WhisperDecoder:
    sizes = {"num_heads": 2, "feed_forward": INNER, "num_layers": 2}
    config = WhisperDecoderConfig(**sizes, num_positions=num_positions)
    return WhisperDecoder(config, STACK * WIDTH, num_tokens)


def tiny_encoder(number: str = "float32", **settings: object) -> WhisperEncoder:
    torch.manual_seed(3)
    encoder = WhisperEncoder(tiny_config(**settings), BINS).eval()
    return make_native(encoder, LayerMap(number, {}))


def speech_like(batch: int, frames: int) -> torch.Tensor:
    return torch.randn(batch, frames, BINS, generator=torch.Generator().manual_seed(5)) * 3 - 9


def encode_in_chunks(encoder: WhisperEncoder, features: torch.Tensor, chunk: int) -> torch.Tensor:
    stem, parts = encoder.subsampling, []
    state = encoder.initial_state(features.shape[0])
    for start in range(0, features.shape[1], stem.rate * chunk):
        piece = features[:, start : start + stem.rate * chunk + stem.overlap_frames]
        if piece.shape[1] >= stem.rate + stem.overlap_frames:
            part, state = encoder.step(piece, state)
            parts.append(part)
    return torch.cat(parts, dim=1)


@pytest.mark.parametrize("activation", ["silu", "gelu"])
@pytest.mark.parametrize("chunk", [1, 3, 8])
def test_steps_equal_forward(activation: str, chunk: int) -> None:
    encoder = tiny_encoder(activation=activation)
    features = speech_like(2, 205)
    with torch.no_grad():
        whole, steps = encoder(features, torch.tensor([205, 205]), chunk)
        stepped = encode_in_chunks(encoder, features, chunk)
    assert steps.tolist() == [50, 50]
    assert whole.shape == (2, 50, STACK * WIDTH)
    torch.testing.assert_close(stepped, whole, rtol=0, atol=ROUNDING)


def test_native_steps_equal_forward_nearly_everywhere() -> None:
    # A code flips where two orders of a float sum round to its two sides; nothing else may differ.
    encoder = tiny_encoder("w4a8")
    features = speech_like(1, 205)
    with torch.no_grad():
        whole, _ = encoder(features, torch.tensor([205]), 8)
        stepped = encode_in_chunks(encoder, features, 8)
    assert (stepped - whole).abs().median() < ROUNDING


@pytest.mark.parametrize("chunk", [4, FULL_CONTEXT])
def test_padding_changes_nothing(chunk: int) -> None:
    encoder = tiny_encoder()
    features = speech_like(2, 203)
    with torch.no_grad():
        batch, steps = encoder(features, torch.tensor([203, 100]), chunk)
        alone, _ = encoder(features[1:, :100], torch.tensor([100]), chunk)
    assert steps.tolist() == [50, 24]
    torch.testing.assert_close(batch[1:, :24], alone, rtol=0, atol=ROUNDING)


def test_left_context_bounds_what_a_step_sees() -> None:
    encoder = tiny_encoder(num_layers=1)
    features = speech_like(1, 203)
    changed = features.clone()
    changed[:, :40] += 1.0  # the first 11 steps of the stem's windows at most
    with torch.no_grad():
        first, _ = encoder(features, torch.tensor([203]), 5)
        second, _ = encoder(changed, torch.tensor([203]), 5)
    is_same = (first == second).all(dim=2)[0]
    assert is_same[15:].all()  # chunks of 5, and 3 before them
    assert not is_same[:10].any()


def test_decoder_looks_neither_ahead_nor_at_padding() -> None:
    torch.manual_seed(3)
    decoder = tiny_decoder(TOKENS, POSITIONS).eval()
    memory = torch.randn(1, 6, STACK * WIDTH)
    tokens = torch.tensor([[1, 5, 7, 2]])
    padded = torch.cat([memory, torch.randn(1, 2, STACK * WIDTH)], dim=1)
    bias = torch.where(torch.arange(8) < 6, 0.0, NOT_SEEN)[None, None, None]
    with torch.no_grad():
        expected = decoder(tokens, memory)
        torch.testing.assert_close(decoder(tokens, padded, bias), expected, rtol=0, atol=ROUNDING)
        shorter = decoder(tokens[:, :2], memory)
    torch.testing.assert_close(shorter, expected[:, :2], rtol=0, atol=ROUNDING)
    torch.testing.assert_close(expected.exp().sum(-1), torch.ones(1, 4))


@pytest.mark.parametrize("number", ["float32", "w4a8"])
def test_token_by_token_equals_a_whole_sentence(number: str) -> None:
    torch.manual_seed(3)
    decoder = make_native(tiny_decoder(TOKENS, POSITIONS).eval(), LayerMap(number, {}))
    memory = torch.randn(1, 6, STACK * WIDTH)
    tokens = torch.tensor([[22, 5, 7, 2], [22, 5, 1, 1]])
    with torch.no_grad():
        expected = decoder(tokens, memory)
        first, cache, memory_cache = decoder.begin(tokens[:1, :1], memory)
        found, cache = [first.expand(2, -1, -1)], cache.expand(2, -1, -1)
        for i in range(1, 4):
            said, new = decoder.step(tokens[:, i : i + 1], cache, memory_cache)
            found.append(said)
            cache = torch.cat([cache, new], dim=1)
    torch.testing.assert_close(torch.cat(found, dim=1), expected, rtol=0, atol=ROUNDING)


def hugging_face_shapes() -> dict[str, tuple[int, ...]]:
    """Names and shapes of the variables of a tiny Whisper in Hugging Face's layout."""
    shapes: dict[str, tuple[int, ...]] = {
        "model.encoder.conv1.weight": (WIDTH, BINS, 3),
        "model.encoder.conv1.bias": (WIDTH,),
        "model.encoder.conv2.weight": (WIDTH, WIDTH, 3),
        "model.encoder.conv2.bias": (WIDTH,),
        "model.encoder.embed_positions.weight": (1500, WIDTH),
        "model.decoder.embed_positions.weight": (POSITIONS, WIDTH),
        "model.decoder.embed_tokens.weight": (TOKENS, WIDTH),
    }
    for part, attentions in (
        ("encoder", ["self_attn"]),
        ("decoder", ["self_attn", "encoder_attn"]),
    ):
        norms = [f"model.{part}.layer_norm"]
        for i in range(2):
            layer = f"model.{part}.layers.{i}."
            norms += [layer + "final_layer_norm", *(layer + f"{a}_layer_norm" for a in attentions)]
            for attention in attentions:
                for name in ("q_proj", "k_proj", "v_proj", "out_proj"):
                    shapes[f"{layer}{attention}.{name}.weight"] = (WIDTH, WIDTH)
                    if name != "k_proj":
                        shapes[f"{layer}{attention}.{name}.bias"] = (WIDTH,)
            shapes |= {layer + "fc1.weight": (INNER, WIDTH), layer + "fc1.bias": (INNER,)}
            shapes |= {layer + "fc2.weight": (WIDTH, INNER), layer + "fc2.bias": (WIDTH,)}
        shapes |= {f"{norm}.{name}": (WIDTH,) for norm in norms for name in ("weight", "bias")}
    return shapes


def write_ctranslate2(path: Path, variables: dict[str, torch.Tensor]) -> None:
    """Writes the layout that `read_ctranslate2` documents, in half precision."""

    def text(value: str) -> bytes:
        return struct.pack("<H", len(value) + 1) + value.encode() + b"\0"

    content = struct.pack("<I", 6) + text("WhisperSpec") + struct.pack("<II", 3, len(variables))
    for name, value in variables.items():
        raw = value.numpy().astype(np.float16)
        content += text(name) + struct.pack(f"<B{raw.ndim}I", raw.ndim, *raw.shape)
        content += struct.pack("<BI", 4, raw.nbytes) + raw.tobytes()
    path.write_bytes(content)


@pytest.fixture
def hugging_face_file(tmp_path: Path) -> Path:
    random = torch.Generator().manual_seed(7)
    shapes = hugging_face_shapes().items()
    variables = {name: torch.randn(shape, generator=random).half() * 0.1 for name, shape in shapes}
    save_file(variables, tmp_path / "model.safetensors")
    return tmp_path / "model.safetensors"


def test_both_layouts_give_the_same_states(hugging_face_file: Path, tmp_path: Path) -> None:
    theirs = read_hugging_face(hugging_face_file)
    write_ctranslate2(tmp_path / "model.bin", theirs)
    again = read_ctranslate2(tmp_path / "model.bin")
    assert again.keys() == theirs.keys()
    for first, second in (
        (encoder_state(theirs, "silu"), encoder_state(again, "silu")),
        (
            decoder_state(theirs, "silu", KEPT, START, END),
            decoder_state(again, "silu", KEPT, START, END),
        ),
    ):
        assert all(torch.equal(first[name], second[name]) for name in first)


def test_states_fill_every_parameter(hugging_face_file: Path) -> None:
    weights = read_hugging_face(hugging_face_file)
    encoder = WhisperEncoder(tiny_config(), BINS)
    missing, unexpected = encoder.load_state_dict(encoder_state(weights, "silu"), strict=False)
    assert set(missing) == {"feature_norm.mean", "feature_norm.inverse_deviation"}
    assert not unexpected
    decoder = tiny_decoder(len(KEPT), POSITIONS - 1)
    decoder.load_state_dict(decoder_state(weights, "silu", KEPT, START, END))
    key = weights["encoder/layer_1/self_attention/linear_0/weight"][WIDTH : 2 * WIDTH]
    assert torch.equal(encoder.layers[1].attention.key.weight, key)
    assert not encoder.layers[1].attention.key.bias.any()


def test_folded_silu_is_close_to_gelu(hugging_face_file: Path) -> None:
    weights = read_hugging_face(hugging_face_file)
    said = {}
    for activation in ("gelu", "silu"):
        encoder = WhisperEncoder(tiny_config(activation=activation), BINS).eval()
        encoder.load_state_dict(encoder_state(weights, activation), strict=False)
        with torch.no_grad():
            said[activation], _ = encoder(speech_like(1, 203), torch.tensor([203]), 8)
    assert (said["gelu"] - said["silu"]).square().mean() < 0.01 * said["gelu"].square().mean()


def test_a_cut_vocabulary_keeps_rows(hugging_face_file: Path) -> None:
    weights = read_hugging_face(hugging_face_file)
    table = weights["decoder/embeddings/weight"]
    state = decoder_state(weights, "silu", KEPT, START, END)
    rows = state["embedding.weight"] * state["columns"]
    assert torch.allclose(rows, table[[3, 0, 22, END]], atol=1e-6)
    positions = weights["decoder/position_encodings/encodings"]
    assert torch.equal(state["start"], table[START] + positions[0])
    first = rows[-1] + state["position.weight"][0]  # the boundary as input
    assert torch.allclose(first, table[KEPT[-1]] + positions[1], atol=1e-6)
    assert torch.equal(state["position.weight"][1:], positions[2:])


@pytest.mark.parametrize(
    "content", [b"", b"\x06\0\0\0", b"\x06\0\0\0\x0c\0WhisperSpec\0\x03\0\0\0\x02\0\0\0"]
)
def test_what_is_no_model_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "model.bin"
    path.write_bytes(content)
    with pytest.raises(ModelFileError, match=r"model\.bin: cannot read a CTranslate2 model"):
        read_ctranslate2(path)
    with pytest.raises(ModelFileError, match=r"model\.bin: cannot read a Whisper of Hugging Face"):
        read_hugging_face(path)
