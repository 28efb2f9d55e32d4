"""The graphs of a transducer beside its encoder: predictor and joiner, row by row."""

import torch
from torch import Tensor, nn

from halfbyte.blocks.transducer import CONTEXT, Joint, Predictor
from halfbyte.families.family import Example, GraphSpec

_ROWS = "hypotheses"


class PredictorGraph(nn.Module):
    """Rows of tokens, each to one step."""

    def __init__(self, predictor: Predictor):
        super().__init__()
        self.predictor = predictor

    def forward(self, tokens: Tensor) -> Tensor:
        """tokens (N, 2) int64 -> (N, 1, J) float32."""
        y: Tensor = self.predictor(tokens[:, None])
        return y


class JoinerGraph(nn.Module):
    """The joint, with log-probabilities in the end."""

    def __init__(self, joint: Joint):
        super().__init__()
        self.joint = joint

    def forward(self, encoded: Tensor, predicted: Tensor) -> Tensor:
        """encoded, predicted (N, 1, J) float32 -> (N, 1, V) float32 log-probabilities."""
        return torch.log_softmax(self.joint(encoded, predicted).float(), dim=-1)


def predictor_graph(predictor: Predictor) -> GraphSpec:
    """The predictor."""
    tokens = torch.ones(3, CONTEXT, dtype=torch.int64)
    return GraphSpec(
        PredictorGraph(predictor), {"tokens": Example(tokens, {0: _ROWS})}, ("predicted",)
    )


def joiner_graph(joint: Joint, width: int) -> GraphSpec:
    """The joint; rows are `width` numbers."""
    # A tensor each: the exporter takes one and the same tensor for one input.
    rows = {
        name: Example(torch.zeros(3, 1, width), {0: _ROWS}) for name in ("encoded", "predicted")
    }
    return GraphSpec(JoinerGraph(joint), rows, ("log_probs",))
