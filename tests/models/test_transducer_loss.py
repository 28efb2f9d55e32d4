"""The fused transducer loss against every alignment, a closed form, and another implementation."""

import itertools
import math

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from halfbyte import _core
from halfbyte.blocks.transducer_loss import lattice_of, transducer_loss
from halfbyte.errors import InputError
from halfbyte.families.transducer.divergence import divergence
from halfbyte.families.transducer.model import Outputs
from halfbyte.ops.native import make_native
from halfbyte.quant.formats import LayerMap


class Additive(nn.Module):
    """The smallest joint: a product of the sum."""

    def __init__(self, width: int, num_tokens: int):
        super().__init__()
        self.out = nn.Linear(width, num_tokens)

    def forward(self, encoded: Tensor, predicted: Tensor) -> Tensor:
        """(R, D), (R, D) -> (R, V)."""
        return self.out(torch.tanh(encoded + predicted))


def identity(encoded: Tensor, predicted: Tensor) -> Tensor:
    """Logits that come as the encoder's rows."""
    return encoded + predicted


def random_batch(num_steps, num_labels, width, num_tokens, seed=1):
    generator = torch.Generator().manual_seed(seed)
    batch = len(num_steps)
    encoded = torch.randn(batch, max(num_steps), width, generator=generator)
    predicted = torch.randn(batch, max(num_labels) + 1, width, generator=generator)
    labels = torch.randint(1, num_tokens, (batch, max(num_labels)), generator=generator)
    return encoded, torch.tensor(num_steps), predicted, labels, torch.tensor(num_labels)


def brute_force(logits: np.ndarray, labels: list[int]) -> float:
    """-log of the summed probability of all alignments; logits (T, U + 1, V)."""
    num_steps = len(logits)
    log_probs = logits - np.logaddexp.reduce(logits, axis=-1, keepdims=True)
    ways = []
    # An alignment is which of the first T + U - 1 moves say a label; the last move is a blank.
    for moves in itertools.combinations(range(num_steps + len(labels) - 1), len(labels)):
        t = u = 0
        way = []
        for move in range(num_steps + len(labels)):
            if move in moves:
                way.append(log_probs[t, u, labels[u]])
                u += 1
            else:
                way.append(log_probs[t, u, 0])
                t += 1
        ways.append(math.fsum(way))
    return -float(np.logaddexp.reduce(ways))


@pytest.mark.parametrize("num_labels", range(4))
@pytest.mark.parametrize("num_steps", range(1, 5))
def test_the_loss_sums_all_alignments(num_steps, num_labels):
    given = random_batch([num_steps], [num_labels], 5, 5, seed=10 * num_steps + num_labels)
    encoded, _, predicted, labels, _ = given
    logits = (encoded[0, :, None] + predicted[0]).double().numpy()
    loss = transducer_loss(lattice_of(identity, *given))
    assert loss.item() == pytest.approx(brute_force(logits, labels[0].tolist()), rel=1e-6)


@pytest.mark.parametrize(
    ("num_steps", "num_labels", "num_tokens"), [(4, 2, 3), (1, 0, 2), (1, 3, 7), (50, 20, 40)]
)
def test_uniform_logits_have_a_closed_form(num_steps, num_labels, num_tokens):
    """(T + U) · ln V - ln C(T + U - 1, U)."""
    zeros = torch.zeros(1, num_steps, num_tokens), torch.zeros(1, num_labels + 1, num_tokens)
    labels = torch.ones(1, num_labels, dtype=torch.int64)
    counts = torch.tensor([num_steps]), torch.tensor([num_labels])
    found = transducer_loss(lattice_of(identity, zeros[0], counts[0], zeros[1], labels, counts[1]))
    ways = math.comb(num_steps + num_labels - 1, num_labels)
    expected = (num_steps + num_labels) * math.log(num_tokens) - math.log(ways)
    assert found.item() == pytest.approx(expected, rel=1e-6)
    if (num_steps, num_labels, num_tokens) == (4, 2, 3):
        assert found.item() == pytest.approx(4.289089, abs=1e-6)


def test_gradients_are_those_of_differences():
    encoded, num_steps, predicted, labels, num_labels = random_batch([4, 2], [3, 1], 6, 5)
    joint = Additive(6, 5).double()

    def loss(encoded, predicted, weight):
        with torch.no_grad():
            joint.out.weight.copy_(weight)
        given = encoded, num_steps, predicted, labels, num_labels
        return transducer_loss(lattice_of(joint, *given)).double().sum()

    values = [encoded.double(), predicted.double(), joint.out.weight.detach().clone()]
    encoded.requires_grad_()
    predicted.requires_grad_()
    total = transducer_loss(
        lattice_of(joint.float(), encoded, num_steps, predicted, labels, num_labels)
    )
    total.sum().backward()
    joint.double()
    found = [encoded.grad, predicted.grad, joint.out.weight.grad]
    for which, gradient in enumerate(found):
        for place in itertools.product(*(range(n) for n in values[which].shape)):
            shifted = []
            for step in (1e-3, -1e-3):
                changed = [value.clone() for value in values]
                changed[which][place] += step
                shifted.append(loss(*changed).item())
            slope = (shifted[0] - shifted[1]) / 2e-3
            assert gradient[place].item() == pytest.approx(slope, abs=2e-3)


@pytest.mark.parametrize("number", ["float32", "w4a8"])
def test_tiles_change_nothing(number):
    given = random_batch([9, 5, 1], [4, 0, 6], 16, 12)
    joint = Additive(16, 12)
    make_native(joint, LayerMap(number, {}))
    found = []
    for tile_nodes in (1, 7, 10_000):
        encoded, num_steps, predicted, labels, num_labels = given
        encoded, predicted = encoded.clone().requires_grad_(), predicted.clone().requires_grad_()
        joint.zero_grad()
        lattice = lattice_of(
            joint, encoded, num_steps, predicted, labels, num_labels, tile_nodes=tile_nodes
        )
        losses = transducer_loss(lattice)
        losses.sum().backward()
        found.append([losses.detach(), encoded.grad, predicted.grad, joint.out.weight.grad.clone()])
    for other in found[1:]:
        for one, two in zip(found[0], other, strict=True):
            torch.testing.assert_close(one, two, rtol=1e-4, atol=1e-5)


def test_padding_and_the_company_of_others_change_nothing():
    encoded, num_steps, predicted, labels, num_labels = random_batch([9, 5], [4, 2], 8, 8)
    both = transducer_loss(lattice_of(identity, encoded, num_steps, predicted, labels, num_labels))
    encoded[1, 5:], predicted[1, 3:], labels[1, 2:] = math.nan, math.nan, 99
    again = transducer_loss(lattice_of(identity, encoded, num_steps, predicted, labels, num_labels))
    assert again.equal(both)
    alone = [encoded[1:, :5], num_steps[1:], predicted[1:, :3], labels[1:, :2], num_labels[1:]]
    assert transducer_loss(lattice_of(identity, *alone)).equal(both[1:])


def test_fast_emit_weighs_labels_alone():
    given = random_batch([6], [3], 7, 7)
    found = []
    for fast_emit in (0.0, 0.25):
        lattice = lattice_of(identity, *given)
        blank = lattice.blank.clone().requires_grad_()
        label = lattice.label.clone().requires_grad_()
        loss = transducer_loss(
            type(lattice)(blank, label, lattice.num_steps, lattice.num_labels), fast_emit
        )
        loss.sum().backward()
        found.append((loss.detach(), blank.grad, label.grad))
    (loss, blank, label), (fast_loss, fast_blank, fast_label) = found
    assert fast_loss.equal(loss)
    assert fast_blank.equal(blank)
    torch.testing.assert_close(fast_label, 1.25 * label)
    # Each alignment says each label once, and ends each step with a blank.
    assert label.sum().item() == pytest.approx(-3, rel=1e-5)
    assert blank.sum().item() == pytest.approx(-6, rel=1e-5)


@pytest.mark.parametrize("fast_emit", [0.0, 0.01, 0.5])
def test_warprnnt_numba_gives_the_same(fast_emit):
    """Its loss under FastEmit is (1 + λ) times ours, its gradient is ours."""
    other = pytest.importorskip("warprnnt_numba", reason="pip install warprnnt-numba==0.4.1 numba")
    num_steps, num_labels, num_tokens = [11, 7], [5, 3], 9
    generator = torch.Generator().manual_seed(3)
    logits = torch.randn(2, 11, 6, num_tokens, generator=generator)
    labels = torch.randint(1, num_tokens, (2, 5), generator=generator)
    theirs = logits.clone().requires_grad_()
    lengths = (
        torch.tensor(num_steps, dtype=torch.int32),
        torch.tensor(num_labels, dtype=torch.int32),
    )
    peer = other.RNNTLossNumba(blank=0, reduction="none", fastemit_lambda=fast_emit)
    their_loss = peer(theirs, labels.int(), *lengths)
    their_loss.sum().backward()

    ours = logits.clone().requires_grad_()
    nodes = [
        ours[i, :t, : u + 1].reshape(-1, num_tokens)
        for i, (t, u) in enumerate(zip(num_steps, num_labels, strict=True))
    ]
    our_losses = torch.cat(
        [
            _loss_of_logits(n, t, labels[i, :u], fast_emit)
            for i, (n, t, u) in enumerate(zip(nodes, num_steps, num_labels, strict=True))
        ]
    )
    our_losses.sum().backward()
    torch.testing.assert_close(our_losses * (1 + fast_emit), their_loss.detach(), rtol=1e-5, atol=0)
    torch.testing.assert_close(ours.grad, theirs.grad, rtol=1e-4, atol=1e-6)


def _loss_of_logits(nodes: Tensor, num_steps: int, labels: Tensor, fast_emit: float) -> Tensor:
    """Of one utterance whose joint is a table of logits, (T · (U + 1), V)."""
    width = len(labels) + 1

    def joint(encoded: Tensor, predicted: Tensor) -> Tensor:
        return nodes[(encoded[:, 0] * width + predicted[:, 0]).long()]

    steps = torch.arange(num_steps, dtype=torch.float32)[None, :, None]
    rows = torch.arange(width, dtype=torch.float32)[None, :, None]
    counts = torch.tensor([num_steps]), torch.tensor([len(labels)])
    lattice = lattice_of(joint, steps, counts[0], rows, labels[None], counts[1])
    return transducer_loss(lattice, fast_emit)


def test_a_student_diverges_from_others_alone():
    found = []
    for seed in (1, 2):
        num_steps = torch.tensor([6, 3])
        given = random_batch([6, 3], [3, 0], 7, 7, seed)
        ctc = torch.log_softmax(given[0], dim=-1)
        found.append(Outputs(lattice_of(identity, *given), ctc, num_steps))
    itself = divergence(found[0], found[0], ctc_weight=0.3)
    assert itself.total.item() == pytest.approx(0, abs=1e-6)
    other = divergence(found[0], found[1], ctc_weight=0.3)
    assert min(part.item() for part in other.parts.values()) > 0.01
    expected = 0.7 * other.parts["transducer"] + 0.3 * other.parts["ctc"]
    torch.testing.assert_close(other.total, expected)


def test_a_lattice_that_does_not_fit_is_refused():
    floats, counts = torch.zeros(6), torch.tensor([2])
    grads = torch.zeros(6), torch.zeros(6)
    for num_labels in (3, 1, -1):
        given = floats, floats, counts, torch.tensor([num_labels]), 0.0, torch.zeros(1), *grads
        with pytest.raises(InputError, match="labels"):
            _core.kernels.transducer_losses(*given)
