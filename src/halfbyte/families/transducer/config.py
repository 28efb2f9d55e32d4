"""Sizes and choices of a transducer, as they stand in a recipe's configuration."""

from dataclasses import dataclass, field

from halfbyte.blocks.conformer import EncoderConfig
from halfbyte.blocks.transducer import JOINTS
from halfbyte.errors import ConfigError


@dataclass
class ModelConfig:
    """A streaming encoder, a predictor of the last two tokens, and a joint over both.

    The CTC head beside the joint says when words were spoken, and steadies the start of training.

    Source: Graves 2012 (arXiv:1211.3711); Ghodsi et al. 2020 (the predictor).
    """

    encoder: EncoderConfig = field(default_factory=EncoderConfig)
    predictor_width: int = 128  # of an embedding
    joint_width: int = 256
    joint: str = "additive"  # or multiplicative
    fast_emit: float = 0.0  # λ of FastEmit: tokens are said earlier; 0.001 to 0.01 in its paper
    ctc_weight: float = 0.3  # loss = ctc_weight · CTC + (1 - ctc_weight) · transducer
    shortest_chunk: int = 1  # chunks drawn in training, in encoder steps
    dynamic_chunk: int = 12  # the longest (about 1 s)
    beam: int = 4  # hypotheses of the search that ships
    max_symbols: int = 4  # tokens in one encoder step at most

    def __post_init__(self) -> None:
        if self.joint not in JOINTS:
            raise ConfigError(f"model.joint is {self.joint!r}; expected {' or '.join(JOINTS)}")
        for name, most in {"beam": 1000, "max_symbols": 100}.items():
            if not 1 <= getattr(self, name) <= most:
                raise ConfigError(f"model.{name} is {getattr(self, name)}; expected 1 to {most}")
        if not 0 <= self.ctc_weight < 1:
            raise ConfigError(
                f"model.ctc_weight is {self.ctc_weight}; expected 0 or more, and less than 1"
            )
        if not self.fast_emit >= 0:
            raise ConfigError(f"model.fast_emit is {self.fast_emit}; expected 0 or more")
