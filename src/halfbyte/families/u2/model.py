"""U2: one encoder, a CTC head for the first pass, an attention decoder for the second.

Source: Zhang et al. 2020 (arXiv:2012.05481); Yao et al. 2021, WeNet (arXiv:2102.01547).
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from halfbyte.blocks.attention import NOT_SEEN
from halfbyte.blocks.conformer import EncoderConfig
from halfbyte.blocks.decoder import Decoder, DecoderConfig
from halfbyte.blocks.encoder import Encoder, State
from halfbyte.blocks.leaves import Numbers
from halfbyte.blocks.masks import FULL_CONTEXT
from halfbyte.blocks.shared_weight import share_weight
from halfbyte.blocks.whisper import WhisperEncoder
from halfbyte.blocks.whisper_decoder import WhisperDecoder
from halfbyte.families.u2.config import ModelConfig

BLANK = 0
IGNORED = -1  # label of a padded position


@dataclass(frozen=True)
class LogProbs:
    """What a model says of a padded batch whose tokens are known.

    Attributes:
        ctc: (B, T, V) float32.
        num_steps: (B,) int64, steps of each utterance.
        attention: (B, L + 1, V) float32, of the token at each position given those before it.
        labels: (B, L + 1) int64: tokens, end of sentence, IGNORED from there on.
    """

    ctc: Tensor
    num_steps: Tensor
    attention: Tensor
    labels: Tensor


class SharingHead(nn.Module):
    """A CTC head over the decoder's embedding: y = E · (P · x + p) + b.

    With thousands of tokens a head of its own would be a tenth of the model.
    """

    def __init__(self, width: int, embedding_width: int, num_tokens: int):
        super().__init__()
        self.project = nn.Linear(width, embedding_width)
        self.output = nn.Linear(embedding_width, num_tokens)

    def forward(self, encoded: Tensor) -> Tensor:
        """(B, T, D) float32 -> (B, T, V) float32."""
        return self.output(self.project(encoded))


class U2(nn.Module):
    """Encoder, CTC head and attention decoder.

    Over a Whisper decoder the CTC head shares its embedding.

    Integer-only models have an encoder and a CTC head on integers; the decoder stays as it is.

    Args:
        config: sizes.
        num_bins: F, bins of a feature frame.
        num_tokens: V; token 0 is the CTC blank, token V - 1 starts and ends a sentence.
    """

    def __init__(self, config: ModelConfig, num_bins: int, num_tokens: int):
        super().__init__()
        self.config = config
        self.num_tokens = num_tokens
        self.encoder = _encoder(config, num_bins)
        width = self.encoder.output_width
        decoder = _decoder(config, width, num_tokens)
        is_sharing = isinstance(decoder, WhisperDecoder)
        inner = decoder.embedding.embedding_dim
        head = SharingHead(width, inner, num_tokens) if is_sharing else nn.Linear(width, num_tokens)
        self.ctc: nn.Module = head
        self.numbers, self.logits = Numbers(), Numbers()
        self.decoder = decoder
        if is_sharing:
            share_weight(self, "decoder.embedding", "ctc.output")

    def ctc_log_probs(self, encoded: Tensor) -> Tensor:
        """encoded: (B, T, D), as the encoder gives it -> (B, T, V) float32."""
        return torch.log_softmax(self.logits(self.ctc(encoded)), dim=-1)

    def step(self, features: Tensor, state: State) -> tuple[Tensor, Tensor, State]:
        """One chunk: encoder output (B, C, D), CTC log-probabilities (B, C, V), next state."""
        encoded, state = self.encoder.step(features, state)
        return self.numbers(encoded), self.ctc_log_probs(encoded), state

    def log_probs(
        self,
        features: Tensor,
        num_frames: Tensor,
        tokens: Tensor,
        num_tokens: Tensor,
        chunk_steps: int = FULL_CONTEXT,
    ) -> LogProbs:
        """Both heads over a padded batch, the decoder given the right tokens.

        Args:
            features: (B, T, F) float32.
            num_frames: (B,) int64.
            tokens: (B, L) int64, padded with anything.
            num_tokens: (B,) int64.
            chunk_steps: steps of a chunk, or FULL_CONTEXT.
        """
        encoded, num_steps = self.encoder(features, num_frames, chunk_steps)
        inputs, labels = self._teacher_forcing(tokens, num_tokens)
        step = torch.arange(encoded.shape[1], device=features.device)
        bias = torch.where(step < num_steps[:, None], 0.0, NOT_SEEN)[:, None, None]
        attention = self.decoder(inputs, self.numbers(encoded), bias)
        return LogProbs(self.ctc_log_probs(encoded), num_steps, attention, labels)

    def loss(self, said: LogProbs, tokens: Tensor, num_tokens: Tensor) -> dict[str, Tensor]:
        """Joint CTC and attention loss of a padded batch, per token (ends of sentence included).

        WeNet divides by utterances; per token, a batch of one-word clips weighs as much as a
        batch of long sentences.

        Args:
            said: what `log_probs` returned for these tokens.
            tokens: (B, L) int64, padded with anything.
            num_tokens: (B,) int64.

        Returns:
            `loss`, `ctc` and `attention`, scalars.
        """
        num_labels = (num_tokens + 1).sum()
        ctc = self._ctc_loss(said, tokens, num_tokens) / num_labels
        attention = self._attention_loss(said) / num_labels
        weight = self.config.ctc_weight
        return {
            "loss": weight * ctc + (1 - weight) * attention,
            "ctc": ctc.detach(),
            "attention": attention.detach(),
        }

    def _ctc_loss(self, said: LogProbs, tokens: Tensor, num_tokens: Tensor) -> Tensor:
        return nn.functional.ctc_loss(
            said.ctc.transpose(0, 1),
            tokens,
            said.num_steps,
            num_tokens,
            BLANK,
            reduction="sum",
            zero_infinity=True,
        )

    def _attention_loss(self, said: LogProbs) -> Tensor:
        smoothing = self.config.label_smoothing
        is_label = said.labels != IGNORED
        picked = said.attention.gather(2, said.labels.clamp_min(0).unsqueeze(2)).squeeze(2)
        smooth = (1 - smoothing) * picked + smoothing * said.attention.mean(dim=2)
        return -(smooth * is_label).sum()

    def _teacher_forcing(self, tokens: Tensor, num_tokens: Tensor) -> tuple[Tensor, Tensor]:
        """Decoder inputs (sos, tokens) and labels (tokens, eos, IGNORED …), (B, L + 1) int64."""
        boundary = self.num_tokens - 1
        start = tokens.new_full((tokens.shape[0], 1), boundary)
        inputs = torch.cat([start, tokens], dim=1)
        position = torch.arange(inputs.shape[1], device=tokens.device)
        labels = torch.cat([tokens, start], dim=1)
        labels = labels.masked_fill(position == num_tokens[:, None], boundary)
        return inputs, labels.masked_fill(position > num_tokens[:, None], IGNORED)


def _encoder(config: ModelConfig, num_bins: int) -> Encoder | WhisperEncoder:
    sizes = config.encoder
    kind = Encoder if isinstance(sizes, EncoderConfig) else WhisperEncoder
    return kind(sizes, num_bins)  # type: ignore[arg-type]


def _decoder(config: ModelConfig, width: int, num_tokens: int) -> Decoder | WhisperDecoder:
    sizes = config.decoder
    kind = Decoder if isinstance(sizes, DecoderConfig) else WhisperDecoder
    return kind(sizes, width, num_tokens)  # type: ignore[arg-type]
