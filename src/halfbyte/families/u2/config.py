"""Sizes and choices of U2, as they stand in a recipe's configuration."""

from dataclasses import dataclass, field

from halfbyte.blocks.conformer import EncoderConfig
from halfbyte.blocks.decoder import DecoderConfig
from halfbyte.blocks.whisper import WhisperConfig
from halfbyte.blocks.whisper_decoder import WhisperDecoderConfig
from halfbyte.families.family import Production


@dataclass
class ModelConfig:
    """U2: a shared encoder, a CTC head and an attention decoder.

    Encoder and decoder are ours, or, with `kind: whisper`, Whisper's (blocks/whisper.py,
    blocks/whisper_decoder.py).

    Source: Zhang et al. 2020 (arXiv:2012.05481).
    """

    encoder: EncoderConfig | WhisperConfig = field(default_factory=EncoderConfig)
    decoder: DecoderConfig | WhisperDecoderConfig = field(default_factory=DecoderConfig)
    ctc_weight: float = 0.3  # loss = ctc_weight · CTC + (1 - ctc_weight) · attention
    label_smoothing: float = 0.1
    shortest_chunk: int = 1  # chunks drawn in training, in encoder steps
    dynamic_chunk: int = 12  # the longest (about 1 s)
    trainable: list[str] = field(default_factory=lambda: ["*"])  # patterns; the rest stays


PRODUCTION = Production(
    "12 x 256, FFN 2048, kernel 15",  # WeNet's published size, with textbook relative positions
    ModelConfig(
        encoder=EncoderConfig(
            width=256,
            num_heads=4,
            num_layers=12,
            feed_forward=2048,
            kernel=15,
            subsampling=4,
            subsampling_channels=256,
            left_context=64,
            dropout=0.0,
        ),
        decoder=DecoderConfig(num_layers=1),  # not part of the graph
    ),
    num_tokens=4440,  # so that encoder and CTC head have 34.6 million parameters
)
