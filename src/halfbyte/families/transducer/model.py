"""A transducer with a CTC head beside its joint, on one streaming encoder."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from halfbyte.blocks.encoder import Encoder, State
from halfbyte.blocks.leaves import Numbers
from halfbyte.blocks.masks import FULL_CONTEXT
from halfbyte.blocks.transducer import Joint, Predictor, contexts_of
from halfbyte.blocks.transducer_loss import BLANK, Lattice, lattice_of, transducer_loss
from halfbyte.data.speech import SpeechBatch
from halfbyte.families.transducer.config import ModelConfig


@dataclass(frozen=True)
class Outputs:
    """What a model says of a padded batch whose tokens are known.

    Attributes:
        lattice: of the joint.
        ctc: (B, T, V) float32 log-probabilities.
        num_steps: (B,) int64, steps of each utterance.
    """

    lattice: Lattice
    ctc: Tensor
    num_steps: Tensor


class Transducer(nn.Module):
    """P(next token or blank | encoder step, last two tokens).

    What the joint takes of a step is projected in the encoder's graph, once a step. Integer-only
    models have an encoder, its projection and a CTC head on integers; predictor and joint stay.

    Args:
        config: sizes.
        num_bins: F, bins of a feature frame.
        num_tokens: V; token 0 is the blank.
    """

    def __init__(self, config: ModelConfig, num_bins: int, num_tokens: int):
        super().__init__()
        self.config = config
        self.encoder = Encoder(config.encoder, num_bins)
        self.ctc = nn.Linear(self.encoder.output_width, num_tokens)
        self.project = nn.Linear(self.encoder.output_width, config.joint_width)
        self.numbers, self.logits = Numbers(), Numbers()
        self.predictor = Predictor(num_tokens, config.predictor_width, config.joint_width)
        self.joint = Joint(config.joint_width, num_tokens, config.joint)

    def ctc_log_probs(self, encoded: Tensor) -> Tensor:
        """encoded: (B, T, D), as the encoder gives it -> (B, T, V) float32."""
        return torch.log_softmax(self.logits(self.ctc(encoded)), dim=-1)

    def projected(self, encoded: Tensor) -> Tensor:
        """encoded: (B, T, D), as the encoder gives it -> (B, T, J) float32."""
        y: Tensor = self.numbers(self.project(encoded))
        return y

    def step(self, features: Tensor, state: State) -> tuple[Tensor, Tensor, State]:
        """One chunk: rows for the joint (B, C, J), CTC log-probabilities (B, C, V), next state."""
        encoded, state = self.encoder.step(features, state)
        return self.projected(encoded), self.ctc_log_probs(encoded), state

    def outputs(self, batch: SpeechBatch, chunk_steps: int = FULL_CONTEXT) -> Outputs:
        """Joint and CTC head over a padded batch."""
        encoded, num_steps = self.encoder(batch.features, batch.num_frames, chunk_steps)
        predicted = self.predictor(contexts_of(batch.tokens, BLANK))
        lattice = lattice_of(
            self.joint,
            self.projected(encoded),
            num_steps.clamp_min(1),
            predicted,
            batch.tokens,
            batch.num_tokens,
        )
        return Outputs(lattice, self.ctc_log_probs(encoded), num_steps)

    def loss(self, said: Outputs, tokens: Tensor, num_tokens: Tensor) -> dict[str, Tensor]:
        """Transducer and CTC loss of a padded batch, per token (ends of sentence included).

        Returns:
            `loss`, `transducer` and `ctc`, scalars.
        """
        num_labels = (num_tokens + 1).sum()
        transducer = transducer_loss(said.lattice, self.config.fast_emit).sum() / num_labels
        ctc = nn.functional.ctc_loss(
            said.ctc.transpose(0, 1),
            tokens,
            said.num_steps,
            num_tokens,
            BLANK,
            reduction="sum",
            zero_infinity=True,
        )
        ctc, weight = ctc / num_labels, self.config.ctc_weight
        return {
            "loss": weight * ctc + (1 - weight) * transducer,
            "transducer": transducer.detach(),
            "ctc": ctc.detach(),
        }
