"""Predictor and joint of a transducer: what was said so far, and what comes next."""

import torch
from torch import Tensor, nn

from halfbyte.blocks.leaves import Relu

CONTEXT = 2  # labels that the predictor sees; before the first one: blanks
JOINTS = ("additive", "multiplicative")


class Predictor(nn.Module):
    """The last two labels to a row: p = W₂ · relu(W₁ · [e(a), e(b)] + b₁) + b₂.

    It has no state, so hypotheses that end in the same labels share it, and a stream keeps labels
    alone. Source: Ghodsi et al. 2020, "RNN-Transducer with stateless prediction network"
    (doi:10.1109/ICASSP40776.2020.9054419), which concatenates embeddings as well; there an
    LSTM with all labels was hardly better.

    Args:
        num_tokens: V, the blank among them.
        width: of an embedding.
        output_width: J.
    """

    def __init__(self, num_tokens: int, width: int, output_width: int):
        super().__init__()
        self.embedding = nn.Embedding(num_tokens, width)
        self.mix = nn.Linear(CONTEXT * width, width)
        self.relu = Relu()
        self.project = nn.Linear(width, output_width)

    def forward(self, contexts: Tensor) -> Tensor:
        """contexts: (..., 2) int64, the older label first -> (..., J) float32."""
        y: Tensor = self.project(self.relu(self.mix(self.embedding(contexts).flatten(-2))))
        return y


class Joint(nn.Module):
    """logits = W · tanh(e + p) + b, or with e · p, element by element.

    Sources: Graves 2012 (arXiv:1211.3711), additive; Saon et al. 2021 (arXiv:2103.09935),
    multiplicative.

    Args:
        width: J, of a row of encoder and predictor.
        num_tokens: V.
        kind: "additive" or "multiplicative".
    """

    def __init__(self, width: int, num_tokens: int, kind: str = "additive"):
        super().__init__()
        self.is_multiplicative = kind == "multiplicative"
        self.output = nn.Linear(width, num_tokens)

    def forward(self, encoded: Tensor, predicted: Tensor) -> Tensor:
        """(..., J) each -> logits (..., V)."""
        joined = encoded * predicted if self.is_multiplicative else encoded + predicted
        y: Tensor = self.output(torch.tanh(joined))
        return y


def contexts_of(labels: Tensor, blank: int) -> Tensor:
    """(B, U) int64 -> (B, U + 1, 2) int64: the last two of the first 0 to U labels."""
    return nn.functional.pad(labels, (CONTEXT, 0), value=blank).unfold(1, CONTEXT, 1)
