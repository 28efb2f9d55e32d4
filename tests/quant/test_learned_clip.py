"""PACT: gradients of a hand, and the range that the first batch sets."""

import pytest
import torch

from halfbyte.quant.learned_clip import LearnedClip


def ranged(low: float, high: float) -> LearnedClip:
    quantizer = LearnedClip(8)
    quantizer.set_range(low, high)
    return quantizer


def test_gradients_by_hand():
    quantizer = ranged(-1.0, 1.55)
    x = torch.tensor([[-5.0, -1.0, 0.3, 1.55, 9.0]], requires_grad=True)
    quantizer.gradient_path(x).backward(torch.tensor([[1.0, 10.0, 100.0, 1000.0, 10000.0]]))
    assert x.grad.tolist() == [[0.0, 0.0, 100.0, 0.0, 0.0]]
    assert quantizer.low.grad.item() == 11.0
    assert quantizer.high.grad.item() == 11000.0


def test_one_end_is_the_paper_after_a_relu():
    quantizer = ranged(0.0, 6.0)
    x = torch.relu(torch.linspace(-3, 9, 101))[None]
    quantized = quantizer.quantize(x)
    assert quantized.zero_points.item() == -128  # all 256 codes are at or above zero
    levels = torch.round(x.clamp(0, 6) / (6 / 255)) * (6 / 255)
    torch.testing.assert_close(quantized.dequantize(), levels)


def test_the_first_batch_sets_the_range_and_learning_goes_on_from_there():
    quantizer = LearnedClip(8)
    quantizer.observe(torch.tensor([[-2.0, 3.1]]))
    quantizer.observe(torch.tensor([[-9.0, 9.0]]))
    assert (quantizer.low.item(), quantizer.high.item()) == pytest.approx((-2.0, 3.1))


def test_an_end_beyond_zero_still_gives_zero_its_code():
    quantizer = LearnedClip(8)
    with torch.no_grad():
        quantizer.low.fill_(0.5)
        quantizer.high.fill_(2.0)
    assert quantizer.quantize(torch.zeros(1, 2)).dequantize().tolist() == [[0.0, 0.0]]
