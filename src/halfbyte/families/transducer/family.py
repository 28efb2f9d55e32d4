"""Transducers as a family: what training, export and measurement ask of them."""

from typing import Any

import torch

from halfbyte.blocks.masks import FULL_CONTEXT, draw_chunk_steps
from halfbyte.data.speech import Speech, SpeechBatch
from halfbyte.families.family import Family, GraphSpec, Inputs, Losses
from halfbyte.families.streaming import encoder_graph
from halfbyte.families.transducer.config import ModelConfig
from halfbyte.families.transducer.divergence import divergence
from halfbyte.families.transducer.graphs import joiner_graph, predictor_graph
from halfbyte.families.transducer.metadata import metadata
from halfbyte.families.transducer.model import Outputs, Transducer
from halfbyte.families.transducer.validation import greedy_errors
from halfbyte.scores.words import Errors


class TransducerFamily(Family[Transducer, SpeechBatch]):
    """Trained with dynamic chunks; validated on word errors of greedy search."""

    Config = ModelConfig
    needs = Speech()
    integer_parts = ("encoder", "ctc", "logits", "project", "numbers")

    def build(self, config: ModelConfig, inputs: Inputs) -> Transducer:
        """An encoder, a CTC head, a predictor and a joint."""
        return Transducer(config, inputs.features.num_mel_bins, len(inputs.vocabulary.tokens))

    def draw(self, model: Transducer, batch: SpeechBatch, generator: torch.Generator) -> int:
        """Encoder steps of a chunk, or FULL_CONTEXT."""
        # From the padded length: asking num_frames would wait for a GPU.
        num_frames = torch.tensor(batch.features.shape[1])
        longest = int(model.encoder.subsampling.num_steps(num_frames))
        config = model.config
        return draw_chunk_steps(longest, (config.shortest_chunk, config.dynamic_chunk), generator)

    def unlearnable(self, model: Transducer, inputs: Inputs, text: str, num_frames: int) -> str:
        """A step holds no more than `max_symbols` tokens."""
        num_tokens = len(inputs.vocabulary.encode(text))
        steps = int(model.encoder.subsampling.num_steps(torch.tensor(num_frames)))
        most = steps * model.config.max_symbols
        return (
            f"{num_tokens} tokens; {steps} encoder steps hold {most}" if most < num_tokens else ""
        )

    def outputs(self, model: Transducer, batch: SpeechBatch, draw: Any = None) -> Outputs:
        """Log-probabilities of the lattice and of the CTC head."""
        return model.outputs(batch, FULL_CONTEXT if draw is None else draw)

    def loss(self, model: Transducer, outputs: Outputs, batch: SpeechBatch) -> Losses:
        """Transducer and CTC loss, per token."""
        parts = model.loss(outputs, batch.tokens, batch.num_tokens)
        return Losses(parts.pop("loss"), parts)

    def divergence(self, model: Transducer, outputs: Outputs, teacher: Outputs) -> Losses:
        """Of joint and CTC head, per label."""
        return divergence(outputs, teacher, model.config.ctc_weight)

    def validate(self, model: Transducer, batch: SpeechBatch, inputs: Inputs) -> Errors:
        """Word errors of greedy search at full context."""
        return greedy_errors(model, batch, inputs.vocabulary)

    def graphs(self, model: Transducer) -> dict[str, GraphSpec]:
        """The streaming encoder, the predictor and the joiner."""
        return {
            "encoder": encoder_graph(model),
            "predictor": predictor_graph(model.predictor),
            "joiner": joiner_graph(model.joint, model.config.joint_width),
        }

    def metadata(self, model: Transducer, inputs: Inputs) -> dict[str, Any]:
        """Streaming, tokens and decoding."""
        return metadata(model, inputs)
