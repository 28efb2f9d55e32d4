"""Learned steps: numbers of a hand, and torch's own learnable fake quantisation."""

import pytest
import torch

from halfbyte.quant.absmax import stored_scale
from halfbyte.quant.lsq import FOLLOWED_STEPS, LearnedStep, power_of_two, real_scale
from halfbyte.quant.quantizer import CHANNEL, TENSOR, Granularity


def started(bits: int, x: torch.Tensor, granularity=TENSOR, half: bool = False) -> LearnedStep:
    quantizer = LearnedStep(
        bits, granularity, tuple(x.shape), form=stored_scale if half else real_scale
    )
    quantizer.start(x)
    return quantizer


def inner_gradient(x: torch.Tensor, scales: torch.Tensor, qmax: int) -> torch.Tensor:
    """Random, and zero where torch's rule is another: it clips half a code later than the paper."""
    v = (x / scales).abs()
    return torch.randn(x.shape).masked_fill((v >= qmax) & (v <= qmax + 0.5), 0.0)


def test_start_and_codes_by_hand():
    x = torch.tensor([[1.0, -2.0, 4.0, -7.0]])
    quantizer = started(4, x)
    step = 2 * 3.5 / 7**0.5  # mean|x| is 3.5
    torch.testing.assert_close(quantizer.scales(), torch.tensor([[step]]))
    assert quantizer.quantize(x).codes.tolist() == [[0, -1, 2, -3]]  # x / 2.6458


def test_gradients_by_hand():
    quantizer = LearnedStep(2, TENSOR, (1, 3), form=real_scale)
    quantizer.set_scales(torch.tensor([[1.0]]))
    x = torch.tensor([[0.25, -0.75, 3.0]], requires_grad=True)
    quantizer.gradient_path(x).backward(torch.tensor([[1.0, 10.0, 100.0]]))
    assert x.grad.tolist() == [[1.0, 10.0, 0.0]]  # 3 lies beyond the last code
    # rint(v) - v: -0.25 and -0.25; beyond: 1; damped by 1 / sqrt(3 elements · qmax 1)
    expected = (-0.25 * 1 - 0.25 * 10 + 1 * 100) / 3**0.5
    assert quantizer.step.grad.item() == pytest.approx(expected)


@pytest.mark.parametrize("bits", [2, 3, 4, 8])
def test_equals_torch_per_tensor(bits):
    torch.manual_seed(0)
    x = torch.randn(9, 31)
    quantizer = started(bits, x)
    qmax = 2 ** (bits - 1) - 1
    other_x = x.clone().requires_grad_()
    scale = quantizer.step.detach().flatten().clone().requires_grad_()
    zero = torch.zeros(1, requires_grad=True)
    factor = (x.numel() * qmax) ** -0.5
    other = torch._fake_quantize_learnable_per_tensor_affine(
        other_x, scale, zero, -qmax, qmax, factor
    )
    torch.testing.assert_close(quantizer.quantize(x).dequantize(), other)
    grad = inner_gradient(x, quantizer.scales(), qmax)
    other.backward(grad)
    x.requires_grad_()
    quantizer.gradient_path(x).backward(grad)
    torch.testing.assert_close(x.grad, other_x.grad)
    torch.testing.assert_close(quantizer.step.grad.flatten(), scale.grad)


@pytest.mark.parametrize("bits", [2, 4])
def test_equals_torch_per_channel(bits):
    torch.manual_seed(0)
    x = torch.randn(9, 31)
    quantizer = started(bits, x, CHANNEL)
    qmax = 2 ** (bits - 1) - 1
    other_x = x.clone().requires_grad_()
    scale = quantizer.step.detach().flatten().clone().requires_grad_()
    zero = torch.zeros(9, requires_grad=True)
    factor = (31 * qmax) ** -0.5
    other = torch._fake_quantize_learnable_per_channel_affine(
        other_x, scale, zero, 0, -qmax, qmax, factor
    )
    grad = inner_gradient(x, quantizer.scales(), qmax)
    other.backward(grad)
    x.requires_grad_()
    quantizer.gradient_path(x).backward(grad)
    torch.testing.assert_close(quantizer.quantize(x.detach()).dequantize(), other)
    torch.testing.assert_close(x.grad, other_x.grad)
    torch.testing.assert_close(quantizer.step.grad.flatten(), scale.grad)


def test_one_bit_is_a_sign():
    quantizer = LearnedStep(1, CHANNEL, (1, 3))
    quantizer.set_scales(torch.tensor([[0.5]]))
    assert quantizer.quantize(torch.tensor([[0.0, -3.0, 0.1]])).codes.tolist() == [[1, -1, 1]]


def test_scales_of_weights_are_those_of_the_file():
    quantizer = LearnedStep(4, Granularity("group", 2), (1, 4))
    quantizer.set_scales(torch.tensor([[0.1, 1e-9]]))
    assert quantizer.scales().tolist() == [[0.0999755859375, 2.0**-14]]


def test_the_step_follows_the_first_batches_and_is_learned_after():
    quantizer = LearnedStep(4, TENSOR, (1, 4), form=real_scale)
    for _ in range(FOLLOWED_STEPS):
        quantizer.observe(torch.ones(1, 4))
    learned = quantizer.step.clone()
    quantizer.observe(torch.full((1, 4), 100.0))
    assert torch.equal(quantizer.step, learned)


@pytest.mark.parametrize("exponent", [-99, -14, -1, 0, 1, 7, 100])
def test_powers_of_two_are_exact_and_nearest_on_a_logarithmic_scale(exponent):
    exact = torch.tensor([2.0**exponent])
    shares = torch.tensor([0.7072, 1.0, 1.4142])  # between the square roots of 1/2 and 2
    assert torch.equal(power_of_two(exact * shares), exact.expand(3))
    assert torch.equal(power_of_two(exact * 1.4143), 2 * exact)


def test_a_learned_step_may_be_used_as_a_power_of_two():
    quantizer = LearnedStep(8, form=power_of_two)
    quantizer.set_scales(torch.tensor([[0.013]]))
    x = torch.tensor([[0.5, -7.0, 0.01]], requires_grad=True)
    quantized = quantizer.quantize(x.detach())
    assert quantized.scales.item() == 2.0**-6  # 0.013 lies nearer to it than to 2^-7
    assert quantized.codes.tolist() == [[32, -127, 1]]
    quantizer.gradient_path(x).sum().backward()
    assert quantizer.step.grad.item() != 0


def test_a_layer_may_run_twice_in_a_batch_while_its_step_still_follows():
    quantizer = LearnedStep(8, form=real_scale)
    outputs = []
    for factor in (1.0, 3.0):
        x = torch.full((2, 4), factor, requires_grad=True)
        quantizer.observe(x)
        outputs.append(quantizer.gradient_path(x).sum())
    sum(outputs).backward()
    assert quantizer.step.grad.isfinite().all()
