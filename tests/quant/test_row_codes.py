"""Kernels of training against the same operations in torch: equal to the last bit."""

import sys

import pytest
import torch
from torch import Tensor

from halfbyte import _core
from halfbyte.errors import InputError
from halfbyte.ops.linear import compute, compute_by_torch
from halfbyte.quant.absmax import AbsMaxWeight, stored_scale
from halfbyte.quant.formats import format_named
from halfbyte.quant.quantizer import TENSOR, round_to_codes

SHAPES = [(1, 1), (3, 15), (5, 16), (17, 50), (4, 333)]


def draw(rows: int, inputs: int) -> Tensor:
    torch.manual_seed(rows * 1000 + inputs)
    x = torch.randn(rows, inputs)
    x.view(-1)[::7] *= 1000
    return x


def by_kernel(x: Tensor, edge: float, qmax: int, isa: str = "") -> tuple[Tensor, Tensor]:
    codes, scales = torch.full(x.shape, 99, dtype=torch.int8), torch.empty(x.shape[0])
    _core.kernels.weight_codes(x, edge, qmax, codes, scales, isa)
    return codes, scales


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("isa", _core.kernels.isas())
def test_kernels_equal_torch(isa, shape):
    x = draw(*shape)
    for bits in range(2, 9):
        qmax = max(1, 2 ** (bits - 1) - 1)
        edge = 2.5 * qmax  # so that some values are clipped
        codes, scales = by_kernel(x, edge, qmax, isa)
        assert torch.equal(scales, stored_scale(x.abs().amax(dim=1) / edge))
        assert torch.equal(codes, round_to_codes(x / scales[:, None], bits))
        values = torch.empty(shape, dtype=torch.bfloat16)
        _core.kernels.values_bf16(codes, scales, values.view(torch.int16), isa)
        assert torch.equal(values, (codes.float() * scales[:, None]).bfloat16())


@pytest.mark.skipif(sys.platform != "linux", reason="torch's threads are known on Linux alone")
def test_torchs_threads_are_found():
    assert _core.kernels.has_torch_threads()


@pytest.mark.parametrize("threads", [2, 3])
def test_threads_share_the_rows_of_a_weight(threads):
    x = draw(3000, 41)  # more than one thread takes up by itself
    alone = by_kernel(x, 7.0, 7)
    codes, scales = torch.full(x.shape, 99, dtype=torch.int8), torch.empty(3000)
    _core.kernels.weight_codes(x, 7.0, 7, codes, scales, threads=threads)
    assert torch.equal(codes, alone[0])
    assert torch.equal(scales, alone[1])
    values = [torch.empty(x.shape, dtype=torch.int16) for _ in range(2)]
    _core.kernels.values_bf16(codes, scales, values[0])
    _core.kernels.values_bf16(codes, scales, values[1], threads=threads)
    assert torch.equal(*values)


def test_scales_are_stored_as_torch_stores_them():
    largest = torch.cat([
        2.0 ** torch.linspace(-20, 17, 5000),
        (1 + torch.arange(4097) / 4096) / 64,  # every tie of one binade
        torch.tensor([0.0, 65504.0, 65519.0, 65520.0, 1e30, torch.inf, torch.nan]),
    ])  # fmt: skip
    _, scales = by_kernel(largest[:, None], 1.0, 1)
    torch.testing.assert_close(scales, stored_scale(largest), rtol=0, atol=0, equal_nan=True)


def test_ties_round_to_even():
    x = torch.tensor([[0.5, 1.5, 2.5, -0.5, -1.5, -2.5, 3.5, 100.0]])
    codes, scales = by_kernel(x, 100.0, 3)
    assert scales.tolist() == [1.0]
    assert codes.tolist() == [[0, 2, 2, 0, -2, -2, 3, 3]]


@pytest.mark.parametrize("bits", range(2, 9))
def test_one_row_by_kernel_is_a_tensor_by_torch(bits):
    x = draw(1, 100)
    one, whole = AbsMaxWeight(bits).quantize(x), AbsMaxWeight(bits, TENSOR).quantize(x)
    assert torch.equal(one.codes, whole.codes)
    assert torch.equal(one.scales, whole.scales)


@pytest.mark.parametrize("threads", [1, 2, 3])
@pytest.mark.parametrize("shape", [(1, 9), (40, 33), (200, 40)], ids=str)
def test_a_layer_in_bfloat16_is_the_layer_rounded(shape, threads, monkeypatch):
    monkeypatch.setattr(torch, "get_num_threads", lambda: threads)
    x, number = draw(*shape).bfloat16(), format_named("w4a8")
    weight = AbsMaxWeight(4).quantize(draw(50, shape[1]))
    layer = (weight.codes, weight.scales[:, 0].contiguous(), torch.randn(50), number)
    exact = compute(x.float(), *layer)
    for narrow in (x, x.float()):
        rounded = compute(narrow, *layer, torch.bfloat16)
        assert all(torch.equal(a, b.bfloat16()) for a, b in zip(rounded, exact, strict=True))


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_a_mistake_in_one_of_the_threads_is_reported(threads, monkeypatch):
    monkeypatch.setattr(torch, "get_num_threads", lambda: threads)
    x = draw(200, 40)
    x[199, 39] = torch.inf
    weight = AbsMaxWeight(4).quantize(draw(50, 40))
    layer = (weight.codes, weight.scales[:, 0].contiguous(), torch.randn(50))
    with pytest.raises(InputError, match=r"row 199 .* infinity"):
        compute(x, *layer, format_named("w4a8"))


@pytest.mark.parametrize("name", ["w4a8", "w8a8", "w4a4", "w2a8"])
@pytest.mark.parametrize("shape", [(1, 9), (16, 64), (17, 50), (40, 333)], ids=str)
def test_what_cuda_computes_is_what_the_kernel_computes(name, shape):
    x, number = draw(*shape), format_named(name)
    weight = AbsMaxWeight(number.weight_bits).quantize(draw(13, shape[1]))
    layer = (weight.codes, weight.scales[:, 0].contiguous(), torch.randn(13), number)
    for dtype in (torch.float32, torch.bfloat16):
        found = compute_by_torch(x, *layer, dtype), compute(x, *layer, dtype)
        assert all(torch.equal(a, b) for a, b in zip(*found, strict=True))
