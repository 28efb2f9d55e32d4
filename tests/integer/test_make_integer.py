"""Integer-only mode exchanges leaves of any model: one that is no U2 trains and rounds."""

import torch
from torch import nn

from halfbyte.blocks.encoder import FeatureNorm
from halfbyte.blocks.integer import make_integer, ranges_of
from halfbyte.blocks.leaves import Glu, Numbers, Residual, Silu, Stream
from halfbyte.blocks.norm import LayerNorm
from halfbyte.export.freeze import freeze, frozen_operators
from halfbyte.ops.native import make_native
from halfbyte.quant.formats import LayerMap


class Detector(nn.Module):
    """Scores of frames: a residual block of gates between two linear layers."""

    def __init__(self) -> None:
        super().__init__()
        self.feature_norm = FeatureNorm(12)
        self.embed, self.stream = nn.Linear(12, 16), Stream(2.0, dropout=0.1)
        self.norm, self.widen, self.glu = LayerNorm(16), nn.Linear(16, 32), Glu()
        self.mix, self.silu, self.narrow = nn.Linear(16, 24), Silu(), nn.Linear(24, 16)
        self.add, self.score, self.numbers = Residual(0.1), nn.Linear(16, 3), Numbers()
        self.last = LayerNorm(16)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        x = self.stream(self.embed(self.feature_norm(features)))
        y = self.mix(self.glu(self.widen(self.norm(x))))  # a product of a product's codes
        x = self.add(x, self.narrow(self.silu(y)))
        return self.numbers(self.score(self.last(x)))


class Whole(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.body = Detector()


def detector() -> Whole:
    torch.manual_seed(0)
    model = Whole()
    make_native(model, LayerMap("w8a8", {}))
    make_integer(model, ["body"], lambda: model.body(torch.zeros(1, 2, 12)))
    return model


def test_a_model_trains_and_gives_integers():
    model = detector().train()
    features = torch.randn(4, 9, 12)
    model.body(features).sum().backward()
    weights = [p for name, p in model.named_parameters() if name.endswith("weight")]
    assert all(p.grad is not None and p.grad.isfinite().all() for p in weights)
    assert all(each.is_started for each in ranges_of(model))
    scores = model.eval().body(features)
    scale = model.body.numbers.scale_of("x")
    assert torch.equal(torch.round(scores / scale) * torch.tensor(scale), scores)
    torch.manual_seed(0)
    float_model = Whole().eval()
    expected = float_model.body(features)
    assert (scores - expected).abs().max() < 0.1 * expected.abs().max()


def test_each_leaf_is_a_node_of_its_own():
    model = detector().train()
    model.body(torch.randn(4, 9, 12))
    names = {name.removeprefix("body.").split(".")[0] for name in frozen_operators(freeze(model))}
    leaves = {"feature_norm", "stream", "norm", "glu", "silu", "add", "last", "numbers"}
    assert names >= leaves
