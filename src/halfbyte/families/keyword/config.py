"""Sizes and choices of a keyword spotter, as they stand in a recipe's configuration."""

from dataclasses import dataclass, field

from halfbyte.errors import ConfigError


@dataclass
class KeywordConfig:
    """A window network of dense bottlenecks; 240 thousand parameters with twenty keywords.

    Source: Zeng et al. 2022, "Sub 8-Bit Quantization of Streaming Keyword Spotting Models for
    Embedded Chipsets" (arXiv:2207.06920): 250 thousand parameters, stateless, two stages. Layer
    sizes are ours; so is that every block stacks steps, not the first layer alone.
    """

    keywords: list[str] = field(default_factory=list)  # empty: all labels of the training corpus
    frames_per_step: int = 2
    width: int = 144
    bottleneck: int = 64
    stacked_steps: int = 3  # that each block stacks
    dilations: tuple[int, ...] = (1, 1, 2, 3, 4, 6)  # steps between them, block by block
    num_stages: int = 2  # 1: everything at once, in the format that `quantization` names
    second_epochs: int = 3  # of the second stage
    pool_before_ms: int = 100  # the best step of a word is looked for from here before its end …
    pool_after_ms: int = 200  # … to here after it
    positive_weight: float = 25.0  # of a word, in steps of other sound
    smoothing_steps: int = 4  # whose logits are averaged
    refractory_ms: int = 400  # a detection is the best score within this time before and after
    threshold: float = 0.5  # of scores, of keywords without one of their own
    thresholds: dict[str, float] = field(default_factory=dict)  # by keyword

    def __post_init__(self) -> None:
        if self.num_stages not in (1, 2):
            raise ConfigError(f"model.num_stages is {self.num_stages}; expected 1 or 2")
        for name in ("frames_per_step", "stacked_steps", "smoothing_steps", "refractory_ms"):
            if getattr(self, name) < 1:
                raise ConfigError(f"model.{name} is {getattr(self, name)}; expected 1 or more")
        for name, value in {"threshold": self.threshold, **self.thresholds}.items():
            if not 0 <= value <= 1:
                raise ConfigError(f"the threshold {name} is {value}; expected a score, 0 to 1")
