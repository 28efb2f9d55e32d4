"""Keyword spotting as a family: what training, export and measurement ask of it."""

from typing import Any

from torch import Tensor
from torch.nn.functional import mse_loss

from halfbyte.families.family import Family, GraphSpec, Inputs, Losses, Stage
from halfbyte.families.keyword.config import KeywordConfig
from halfbyte.families.keyword.graphs import spotter_graph
from halfbyte.families.keyword.loss import pooled_loss, targets_of
from halfbyte.families.keyword.metadata import metadata
from halfbyte.families.keyword.model import KeywordSpotter
from halfbyte.families.keyword.needs import KeywordBatch, Keywords
from halfbyte.families.keyword.validation import count_detections
from halfbyte.scores.detections import DetectionScore


class KeywordFamily(Family[KeywordSpotter, KeywordBatch]):
    """Trained in two stages; validated on words missed and false alarms.

    Stage 1 puts the dense weights onto their grid (`quantization.weights=tanh`: tanh(w) over
    max|tanh(w)|); its result holds the weights that the codes stand for. Stage 2 leaves these
    alone and trains biases, gains and batch norms while inputs and activations are integers too.
    Difference from the source: rows of inputs have 8 bits in stage 1 as well, each with a scale
    of its own, so that this model runs on a device, too.

    Source: Zeng et al. 2022 (arXiv:2207.06920).
    """

    Config = KeywordConfig
    needs = Keywords()
    integer_parts = ("network",)
    short_first = False  # short recordings are words, long ones other speech

    def build(self, config: KeywordConfig, inputs: Inputs) -> KeywordSpotter:
        """A network with a logit for each keyword."""
        return KeywordSpotter(config, inputs)

    def stages(self, config: KeywordConfig) -> list[Stage]:
        """Dense weights, then all else."""
        if config.num_stages == 1:
            return [Stage("")]
        return [
            Stage("weights", overrides=("quantization.arithmetic=dynamic",), settles_weights=True),
            Stage(
                "activations",
                trainable=("*.bias", "*.norm.*"),
                overrides=(
                    "quantization.weights=absmax",
                    "quantization.arithmetic=integer",
                    f"loop.epochs={config.second_epochs}",
                ),
            ),
        ]

    def outputs(self, model: KeywordSpotter, batch: KeywordBatch, draw: Any = None) -> Tensor:
        """Smoothed logits, (B, T, L) float32."""
        return model.scores(batch.features)

    def loss(self, model: KeywordSpotter, outputs: Tensor, batch: KeywordBatch) -> Losses:
        """Max-pooled cross-entropy."""
        targets = targets_of(model, batch, outputs.shape[1])
        words, others = pooled_loss(outputs, targets, model.config.positive_weight)
        return Losses(words + others, {"words": words.detach(), "others": others.detach()})

    def divergence(self, model: KeywordSpotter, outputs: Tensor, teacher: Tensor) -> Losses:
        """Mean squared distance of the posteriors."""
        apart = mse_loss(outputs.sigmoid(), teacher.sigmoid())
        return Losses(apart, {"posteriors": apart.detach()})

    def validate(
        self, model: KeywordSpotter, batch: KeywordBatch, inputs: Inputs
    ) -> DetectionScore:
        """Words found and false alarms at the thresholds of the model."""
        return count_detections(model, batch)

    def graphs(self, model: KeywordSpotter) -> dict[str, GraphSpec]:
        """The network alone."""
        return {"spotter": spotter_graph(model)}

    def metadata(self, model: KeywordSpotter, inputs: Inputs) -> dict[str, Any]:
        """Streaming, keywords, thresholds."""
        return metadata(model, inputs)
