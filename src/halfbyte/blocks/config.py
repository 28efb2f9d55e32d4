"""Sizes and choices of a model, as they stand in a recipe's configuration."""

from dataclasses import dataclass, field


@dataclass
class EncoderConfig:
    """Conformer encoder of U2.

    WeNet's published unified Conformer is `width=256, num_heads=4, feed_forward=2048,
    num_layers=12, kernel=15, subsampling=4, subsampling_channels=256, relative_shift=False`.
    """

    width: int = 192
    num_heads: int = 4
    num_layers: int = 4
    feed_forward: int = 576  # inner width of both half-step feed-forward modules
    kernel: int = 15  # frames that the causal depthwise convolution sees
    subsampling: int = 8  # feature frames per encoder step: 4 or 8
    subsampling_channels: int = 32
    relative_shift: bool = True  # False: WeNet's variant, positions of keys instead of distances
    left_context: int = 48  # encoder steps that a chunk sees to its left
    dropout: float = 0.1
    layer_drop: float = 0.0  # chance that an utterance skips a layer in training


@dataclass
class DecoderConfig:
    """Transformer decoder of U2, which rescores what the CTC search found."""

    num_layers: int = 2
    num_heads: int = 4
    feed_forward: int = 576
    dropout: float = 0.1


@dataclass
class ModelConfig:
    """U2: a shared encoder, a CTC head and an attention decoder.

    Source: Zhang et al. 2020 (arXiv:2012.05481).
    """

    encoder: EncoderConfig = field(default_factory=EncoderConfig)
    decoder: DecoderConfig = field(default_factory=DecoderConfig)
    ctc_weight: float = 0.3  # loss = ctc_weight · CTC + (1 - ctc_weight) · attention
    label_smoothing: float = 0.1
    dynamic_chunk: int = 12  # longest chunk drawn in training, in encoder steps (about 1 s)
