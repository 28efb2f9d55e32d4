"""Speech with its text: what recognisers learn from."""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from halfbyte.data.fbank import FeatureConfig
from halfbyte.data.manifest import Utterance
from halfbyte.data.needs import Batch, DataNeeds, Example, padded
from halfbyte.data.tokenizer import TokenConfig, Tokenizer, train_tokenizer


@dataclass
class SpeechBatch(Batch):
    """A padded batch with what is said."""

    tokens: Tensor  # (B, L) int64
    num_tokens: Tensor  # (B,) int64
    texts: list[str]


class Speech(DataNeeds[Tokenizer]):
    """Recordings with texts, which are cut into tokens."""

    label_key, file = "text", "tokenizer.model"

    def fit(self, utterances: list[Utterance], tokens: TokenConfig) -> Tokenizer:
        """A tokenizer of the texts."""
        return train_tokenizer([u.text for u in utterances], tokens)

    def read(self, content: bytes) -> Tokenizer:
        """A stored tokenizer."""
        return Tokenizer(content)

    def batch(
        self, examples: list[Example], vocabulary: Tokenizer, config: FeatureConfig
    ) -> SpeechBatch:
        """Features with the tokens of their texts."""
        texts = [" ".join(filter(None, (h.utterance.text for h in e.heard))) for e in examples]
        tokens = [torch.tensor(vocabulary.encode(t), dtype=torch.int64) for t in texts]
        return SpeechBatch(
            *padded(examples),
            pad_sequence(tokens, batch_first=True),
            torch.tensor([len(t) for t in tokens]),
            texts,
        )
