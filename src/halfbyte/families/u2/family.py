"""U2 as a family: what training, export and measurement ask of it."""

from itertools import pairwise
from typing import Any

import torch

from halfbyte.blocks.masks import FULL_CONTEXT, draw_chunk_steps
from halfbyte.blocks.whisper_decoder import WhisperDecoder
from halfbyte.data.speech import Speech, SpeechBatch
from halfbyte.families.family import Family, GraphSpec, Inputs, Losses, Stage
from halfbyte.families.streaming import encoder_graph
from halfbyte.families.u2.config import PRODUCTION, ModelConfig
from halfbyte.families.u2.divergence import divergence
from halfbyte.families.u2.graphs import cached_graphs, decoder_graph
from halfbyte.families.u2.metadata import metadata
from halfbyte.families.u2.model import U2, LogProbs
from halfbyte.families.u2.validation import greedy_errors
from halfbyte.scores.words import Errors


class U2Family(Family[U2, SpeechBatch]):
    """Trained with dynamic chunks; validated on word errors of its first pass."""

    Config = ModelConfig
    needs = Speech()
    integer_parts = ("encoder", "ctc", "logits", "numbers")
    production = PRODUCTION

    def build(self, config: ModelConfig, inputs: Inputs) -> U2:
        """An encoder, a CTC head and a decoder."""
        return U2(config, inputs.features.num_mel_bins, len(inputs.vocabulary.tokens))

    def stages(self, config: ModelConfig) -> tuple[Stage, ...]:
        """One, of the parameters that `trainable` names."""
        return (Stage("", tuple(config.trainable)),)

    def draw(self, model: U2, batch: SpeechBatch, generator: torch.Generator) -> int:
        """Encoder steps of a chunk, or FULL_CONTEXT."""
        # From the padded length: asking num_frames would wait for a GPU.
        num_frames = torch.tensor(batch.features.shape[1])
        longest = int(model.encoder.subsampling.num_steps(num_frames))
        config = model.config
        return draw_chunk_steps(longest, (config.shortest_chunk, config.dynamic_chunk), generator)

    def unlearnable(self, model: U2, inputs: Inputs, text: str, num_frames: int) -> str:
        """CTC needs a step for each token, and one between two that are alike."""
        tokens = inputs.vocabulary.encode(text)
        least = len(tokens) + sum(one == other for one, other in pairwise(tokens))
        steps = int(model.encoder.subsampling.num_steps(torch.tensor(num_frames)))
        return f"{least} encoder steps are needed, and there are {steps}" if steps < least else ""

    def outputs(self, model: U2, batch: SpeechBatch, draw: int | None = None) -> LogProbs:
        """Log-probabilities of both heads, the decoder given the right tokens."""
        chunk = FULL_CONTEXT if draw is None else draw
        return model.log_probs(
            batch.features, batch.num_frames, batch.tokens, batch.num_tokens, chunk
        )

    def loss(self, model: U2, outputs: LogProbs, batch: SpeechBatch) -> Losses:
        """Joint CTC and attention loss, per token."""
        parts = model.loss(outputs, batch.tokens, batch.num_tokens)
        return Losses(parts.pop("loss"), parts)

    def divergence(self, model: U2, outputs: LogProbs, teacher: LogProbs) -> Losses:
        """Of both heads, per label."""
        return divergence(outputs, teacher, model.config.ctc_weight)

    def validate(self, model: U2, batch: SpeechBatch, inputs: Inputs) -> Errors:
        """Word errors of the CTC head, greedy, at full context."""
        return greedy_errors(model, batch, inputs.vocabulary)

    def graphs(self, model: U2) -> dict[str, GraphSpec]:
        """The streaming encoder and the decoder: whole sentences and, Whisper's, by tokens."""
        graphs = {"encoder": encoder_graph(model), "decoder": decoder_graph(model)}
        if isinstance(model.decoder, WhisperDecoder):
            graphs |= cached_graphs(model.decoder)
        return graphs

    def metadata(self, model: U2, inputs: Inputs) -> dict[str, Any]:
        """Streaming, tokens and decoding."""
        return metadata(model, inputs)
