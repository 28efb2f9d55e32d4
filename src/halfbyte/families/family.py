"""What a family of models is: all that training, export and measurement ask of one.

A family is a package with an instance of `Family` under the name FAMILY (families/registry.py).
The rooms above know this interface alone.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

import torch
from torch import Tensor, nn

from halfbyte.blocks.encoder import FeatureNorm
from halfbyte.data.fbank import FeatureConfig
from halfbyte.data.needs import Batch, DataNeeds
from halfbyte.ops.quantize_features import FeatureCodes
from halfbyte.scores.score import Score

_STATE, _NEXT = "state.", "next."


@dataclass(frozen=True)
class Inputs:
    """What a model is built for, beside its configuration.

    Attributes:
        features: what it hears; frames of `features.num_mel_bins` numbers.
        vocabulary: a tokenizer, or labels.
    """

    features: FeatureConfig
    vocabulary: Any


@dataclass(frozen=True)
class Stage:
    """A part of a training run that ends with a checkpoint; the next stage starts from it.

    Attributes:
        name: of its folder in the run.
        trainable: patterns of names of parameters; others stay as they are.
        start: patterns of names of weights that are taken from the checkpoint before.
        overrides: `key=value` of the configuration for this stage, such as its quantisers
            (`quantization.default=w4a8`) and its schedule (`loop.epochs=3`).
        settles_weights: whether its result holds, for the layers that it quantises, the weights
            that their codes stand for; `quantization.weights=absmax` finds these codes again, and
            later stages may leave them alone.
    """

    name: str
    trainable: tuple[str, ...] = ("*",)
    start: tuple[str, ...] = ("*",)
    overrides: tuple[str, ...] = ()
    settles_weights: bool = False


@dataclass(frozen=True)
class Losses:
    """A loss, and what it is made of.

    Attributes:
        total: what is minimised; a scalar.
        parts: of each head, detached scalars by name, before they are weighted.
    """

    total: Tensor
    parts: dict[str, Tensor]


@dataclass(frozen=True)
class Example:
    """A tensor that goes into a graph, and the axes whose size is open, by name."""

    value: Tensor
    axes: Mapping[int, str]


@dataclass(frozen=True)
class GraphSpec:
    """One graph of a model file.

    Attributes:
        module: called with the inputs and, where there are states, a list of them; returns the
            outputs, then the next states.
        inputs: by name, in order.
        outputs: names of the outputs, next states left out.
        states: named `state.…`, those of one stream before its first chunk.
        test: inputs of the test vector, which a device is checked with.
    """

    module: nn.Module
    inputs: dict[str, Example]
    outputs: tuple[str, ...]
    states: dict[str, Example] = field(default_factory=dict)
    test: dict[str, Tensor] = field(default_factory=dict)

    @property
    def output_names(self) -> list[str]:
        """Names of all outputs: `next.…` is the state `state.…` after the call."""
        return [*self.outputs, *(following_name(name) for name in self.states)]

    def initial_states(self) -> dict[str, Tensor]:
        """The states of one stream before its first chunk."""
        return {name: example.value for name, example in self.states.items()}

    def run(
        self, inputs: Mapping[str, Tensor], states: Mapping[str, Tensor] | None = None
    ) -> dict[str, Tensor]:
        """Outputs by name, without gradients."""
        values: list[Any] = [inputs[name] for name in self.inputs]
        if self.states:
            given = states or self.initial_states()
            values.append([given[name] for name in self.states])
        with torch.no_grad():
            found = self.module(*values)
        found = (found,) if isinstance(found, Tensor) else found
        return dict(zip(self.output_names, found, strict=True))


def following_name(state: str) -> str:
    """Name of the output that is a state's next value."""
    return _NEXT + state.removeprefix(_STATE)


def following_states(outputs: Mapping[str, Any]) -> dict[str, Any]:
    """The states among the outputs of a graph, under the names that they go in by."""
    return {
        _STATE + name.removeprefix(_NEXT): value
        for name, value in outputs.items()
        if name.startswith(_NEXT)
    }


@dataclass(frozen=True)
class Production:
    """A model of the size that products have, for benchmarks of its graph `encoder`.

    Attributes:
        title: its sizes, in a few words.
        num_tokens: of its vocabulary.
    """

    title: str
    config: Any
    num_tokens: int


Model = TypeVar("Model", bound=nn.Module)
B = TypeVar("B", bound=Batch)


class Family(ABC, Generic[Model, B]):
    """A kind of model that can be trained, shipped and run.

    Attributes:
        Config: sizes and choices, a dataclass whose fields all have defaults.
        needs: which labels it learns from, and so the kind of its batches.
        integer_parts: names of the modules that integer-only mode exchanges the leaves of, all in
            the first graph; none where a family has no such mode.
        short_first: whether the first epoch of a fresh model goes from short recordings to long
            ones, as is easier on a CTC loss (data/batches.py).
        production: what `halfbyte bench encoder` measures; None where it has no such graph.
    """

    Config: type[Any]
    needs: DataNeeds[Any]
    integer_parts: tuple[str, ...] = ()
    short_first: bool = True
    production: Production | None = None

    @abstractmethod
    def build(self, config: Any, inputs: Inputs) -> Model:
        """A float model with fresh weights.

        Raises:
            ConfigError: the configuration makes no model.
        """

    def stages(self, config: Any) -> Sequence[Stage]:
        """The stages of a training run; one unless a family has more."""
        return [Stage("")]

    def start_features(self, model: Model, mean: Tensor, inverse_deviation: Tensor) -> None:
        """Normalise features with what the training corpus has of each bin, (F,) float32."""
        for module in model.modules():
            if isinstance(module, FeatureNorm | FeatureCodes):
                module.mean.copy_(mean)
                module.inverse_deviation.copy_(inverse_deviation)

    def draw(self, model: Model, batch: B, generator: torch.Generator) -> Any:
        """What is drawn anew for each step, such as a chunk length; alike in all processes."""
        return None

    def unlearnable(self, model: Model, inputs: Inputs, text: str, num_frames: int) -> str:
        """Why a text cannot be learned from so many feature frames, in words; empty if it can."""
        return ""

    @abstractmethod
    def outputs(self, model: Model, batch: B, draw: Any = None) -> Any:
        """What the model says of a batch.

        Args:
            draw: what `draw` gave; None to compute as the device does, at full context.
        """

    @abstractmethod
    def loss(self, model: Model, outputs: Any, batch: B) -> Losses:
        """How far the outputs are from the labels."""

    @abstractmethod
    def divergence(self, model: Model, outputs: Any, teacher: Any) -> Losses:
        """How far the outputs are from those of another model; 0 where they agree.

        The total weighs the heads as the loss does.
        """

    @abstractmethod
    def validate(self, model: Model, batch: B, inputs: Inputs) -> Score:
        """How well the model does, computed as the device computes."""

    @abstractmethod
    def graphs(self, model: Model) -> dict[str, GraphSpec]:
        """The graphs of the model file; the first is the one that hears features."""

    @abstractmethod
    def metadata(self, model: Model, inputs: Inputs) -> dict[str, Any]:
        """What the device needs to know: passes, searches, defaults."""
